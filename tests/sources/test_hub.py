"""Hugging Face data sets: the package reads a local OWNER/NAME folder as it reads the hub."""

from __future__ import annotations

from pathlib import Path

import pytest

from selftaught.sources import open_source

datasets = pytest.importorskip("datasets")


@pytest.fixture
def local_hub(tmp_path: Path, photos: list[bytes], monkeypatch: pytest.MonkeyPatch) -> Path:
    features = datasets.Features({"img": datasets.Image(), "label": datasets.ClassLabel(names=["tench", "church"])})
    folder = tmp_path / "owner" / "pictures"
    folder.mkdir(parents=True)
    for part, chosen in (("train", range(16)), ("test", range(16, 24))):
        rows = {"img": [{"bytes": photos[i], "path": None} for i in chosen], "label": [i % 2 for i in chosen]}
        datasets.Dataset.from_dict(rows, features=features).to_parquet(folder / f"{part}-00000-of-00001.parquet")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return folder


def test_parts_labels_and_bytes(local_hub: Path, photos: list[bytes]) -> None:
    train = open_source("hf:owner/pictures", split="train", needs=frozenset({"image", "label"}))
    test = open_source("hf:owner/pictures", split="held_out", needs=frozenset({"image"}))
    assert (len(train), len(test)) == (16, 8)
    assert train.classes == ("tench", "church")
    assert [entry.label for entry in train.entries] == [0, 1] * 8
    assert [test.read(i) for i in range(8)] == photos[16:]
    assert train.fingerprint != test.fingerprint


def test_lists_of_classes(tmp_path: Path, photos: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = datasets.Sequence(datasets.ClassLabel(names=["tench", "church", "dog"]))
    features = datasets.Features({"img": datasets.Image(), "labels": kinds})
    (tmp_path / "owner" / "several").mkdir(parents=True)
    for part, chosen in (("train", [[0, 2], []]), ("test", [[1]])):
        rows = {"img": [{"bytes": photos[i], "path": None} for i in range(len(chosen))], "labels": chosen}
        data = datasets.Dataset.from_dict(rows, features=features)
        data.to_parquet(tmp_path / "owner" / "several" / f"{part}-00000-of-00001.parquet")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    train = open_source("hf:owner/several", split="train", needs=frozenset({"image", "labels"}))
    assert train.classes == ("tench", "church", "dog")
    assert train.targets is not None
    assert train.targets.tolist() == [[1, 0, 1], [0, 0, 0]]


def test_absent_data_say_how_to_get_them(local_hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match="hf:owner/absent could not be opened"):
        open_source("hf:owner/absent", split="train", needs=frozenset({"image"}))
