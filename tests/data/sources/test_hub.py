"""Hugging Face data sets: the package reads a local OWNER/NAME folder as it reads the hub."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest

from selftaught.data.decode.encoded_video import EncodedVideo
from selftaught.data.decode.video_frames import decode_frames
from selftaught.data.sources.open import open_source
from tests.conftest import WriteVideo
from tests.data.store.videos import counted, numbers

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


def no_network(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Refuses every connection; what was asked for is in the list."""
    asked: list[object] = []

    def refuse(*arguments: object, **_: object) -> None:
        asked.append(arguments)
        raise OSError("no network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    return asked


def test_absent_data_say_how_to_get_them_and_ask_no_network(local_hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = no_network(monkeypatch)
    with pytest.raises(ValueError, match=r"hf:owner/absent could not be opened .* add --download to fetch it"):
        open_source("hf:owner/absent", split="train", needs=frozenset({"image"}))
    assert asked == []
    assert not datasets.config.HF_HUB_OFFLINE


def test_what_the_cache_holds_is_opened_without_network(
    local_hub: Path, tmp_path: Path, photos: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_source("hf:owner/pictures", split="train", needs=frozenset({"image"}))
    (kept,) = (path for path in (tmp_path / "cache").glob("*pictures*") if path.is_dir())
    kept.rename(kept.with_name("owner___pictures"))
    local_hub.rename(tmp_path / "gone")
    asked = no_network(monkeypatch)
    source = open_source("hf:owner/pictures", split="held_out", needs=frozenset({"image", "label"}))
    assert [source.read(i) for i in range(8)] == photos[16:]
    assert asked == []


@pytest.mark.parametrize("labels", [[0.0, 1.0, None, 1.0], ["a", "b", "a", "b"]])
def test_splits_and_labels_of_columns(
    tmp_path: Path, photos: list[bytes], monkeypatch: pytest.MonkeyPatch, labels: list[float | str | None]
) -> None:
    (tmp_path / "owner" / "columns").mkdir(parents=True)
    rows = {
        "image": [{"bytes": photo, "path": None} for photo in photos[:4]],
        "label": [float("nan") if label is None else label for label in labels],
        "split": ["train", "test", "train", "test"],
    }
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.Value("string" if isinstance(labels[0], str) else "float64"),
            "split": datasets.Value("string"),
        }
    )
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "owner/columns/data.parquet")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    train, test = (
        open_source("hf:owner/columns", split=split, needs=frozenset({"image", "label"}))
        for split in ("train", "held_out")
    )
    assert [train.read(i) for i in range(2)] == [photos[0], photos[2]]
    assert test.part == "test"
    assert len(train.classes or ()) == 2
    assert [entry.label for entry in train.entries] == ([0, 0] if isinstance(labels[0], str) else [0, None])


@pytest.mark.skipif(not hasattr(datasets, "Video"), reason="the package datasets reads videos from version 3 on")
def test_a_column_of_videos(tmp_path: Path, write_video: WriteVideo, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = write_video(tmp_path / "clip.mp4", counted(8)).read_bytes()
    features = datasets.Features({"video": datasets.Video(), "label": datasets.ClassLabel(names=["run", "walk"])})
    (tmp_path / "owner" / "clips").mkdir(parents=True)
    for part, count in (("train", 2), ("test", 1)):
        rows = {"video": [{"bytes": clip, "path": None}] * count, "label": [1] * count}
        data = datasets.Dataset.from_dict(rows, features=features)
        data.to_parquet(tmp_path / "owner" / "clips" / f"{part}-00000-of-00001.parquet")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    source = open_source("hf:owner/clips", split="train", needs=frozenset({"video", "label"}))
    assert (source.classes, [entry.label for entry in source.entries]) == (("run", "walk"), [1, 1])
    video = source.read(1)
    assert isinstance(video, EncodedVideo)
    assert numbers(np.stack([one.image for one in decode_frames(video, 32)])) == list(range(8))
