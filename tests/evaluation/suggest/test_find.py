"""From an encoder and data to a folder: what is labelled is not suggested, what was put there is found."""

from __future__ import annotations

import csv
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import selftaught
from selftaught.core.own_folder import mark
from selftaught.evaluation.suggest.find import KIND, _check_out, out_of_fold
from tests.evaluation.models.own_encoder import SIZE, colours_in, encoder_in


def half_labelled(place: Path) -> Path:
    """36 images of three colours in one folder, of which labels.csv names 18; one is copied, one labelled wrongly."""
    colours_in(place / "drawn", 12, noise=30)
    data = place / "data"
    data.mkdir()
    for path in sorted((place / "drawn").rglob("*.png")):
        path.rename(data / f"{path.parent.name}{path.name}")
    shutil.copy(data / "red10.png", data / "zcopy.png")
    rows = [f"{k}{i:02d}.png,{k}" for k in ("red", "green", "blue") for i in range(6)]
    rows[0] = "red00.png,blue"
    (data / "labels.csv").write_text("\n".join(["file,label", *rows]) + "\n")
    return data


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    place = tmp_path_factory.mktemp("suggest")
    data = half_labelled(place)
    (data / "broken.png").write_bytes(b"no image")
    how = {"count": 6, "size": SIZE, "stem": "standard"}
    return selftaught.suggest(encoder_in(place), data, out=place / "out", **how)  # type: ignore[arg-type]


def test_only_what_has_no_label_is_suggested_and_each_class_is(found: dict[str, object]) -> None:
    names = [str(row["path"]) for row in found["lists"]["next"]]  # type: ignore[index]
    assert len(names) == len(set(names)) == found["suggested"] == 6
    assert all(name == "zcopy.png" or int(name[-6:-4]) >= 6 for name in names)
    assert (found["samples"], found["labelled"], found["skipped"]) == (37, 18, 1)


def test_the_copy_and_the_wrong_label_are_found(found: dict[str, object]) -> None:
    lists: dict[str, list[dict[str, object]]] = found["lists"]  # type: ignore[assignment]
    assert ("red10.png", "zcopy.png") in [(row["path"], row["other"]) for row in lists["duplicates"]]
    assert lists["label_errors"][0]["path"] == "red00.png"
    assert (lists["label_errors"][0]["label"], lists["label_errors"][0]["likely"]) == ("blue", "red")


def test_tables_and_a_page_with_thumbnails_are_written(found: dict[str, object]) -> None:
    out = Path(str(found["out"]))
    with (out / "next.csv").open(newline="") as file:
        assert [row["path"] for row in csv.DictReader(file)] == [row["path"] for row in found["lists"]["next"]]  # type: ignore[index]
    page = Path(str(found["report"])).read_text()
    assert "6 samples to label next, of 37" in page
    assert page.count("data:image") > 6
    with pytest.raises(ValueError, match=r"already holds suggestions; give another folder, or --overwrite"):
        selftaught.suggest(encoder_in(out.parent), out.parent / "data", out=out, size=SIZE)


def test_a_command_that_is_ended_while_it_writes_leaves_what_was_there(
    found: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Path(str(found["out"])).parent
    how = {"out": tmp_path / "out", "count": 6, "size": SIZE, "stem": "standard"}
    for part in ("selftaught.evaluation.suggest.find.write_json", "selftaught.report.suggestions_page.html_page"):
        with monkeypatch.context() as patch:
            patch.setattr(part, lambda *_: signal.raise_signal(signal.SIGINT))
            with pytest.raises(KeyboardInterrupt):
                selftaught.suggest(encoder_in(place), place / "data", **how)  # type: ignore[arg-type]
        assert not (tmp_path / "out").exists()
    old = shutil.copytree(str(found["out"]), tmp_path / "old")
    before = {path: path.read_bytes() for path in old.rglob("*") if path.is_file()}
    with monkeypatch.context() as patch:
        patch.setattr(part, lambda *_: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            selftaught.suggest(encoder_in(place), place / "data", overwrite=True, **how | {"out": old, "count": 2})  # type: ignore[arg-type]
    assert {path: path.read_bytes() for path in old.rglob("*") if path.is_file()} == before
    mark(tmp_path / "out", KIND)  # as after a kill
    assert _check_out(tmp_path / "out", overwrite=False) == tmp_path / "out"


def test_where_all_have_labels_it_says_what_to_do(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = colours_in(tmp_path / "data", 3)
    found = selftaught.suggest(encoder_in(tmp_path), data, out=tmp_path / "out", size=SIZE, stem="standard")
    assert (found["suggested"], found["label_errors"]) == (0, 0)
    note = (
        "all 9 samples have a label, so that none is suggested; give data with unlabelled files too, such as a folder "
        "whose labels.csv names only some of them"
    )
    assert found["note"] == note
    assert note in Path(found["report"]).read_text()
    assert note in " ".join(capfd.readouterr().err.split())


@pytest.mark.slow  # fits a model of its own, 1.5 s
def test_a_model_points_at_what_it_cannot_tell(tmp_path: Path) -> None:
    data = half_labelled(tmp_path)
    encoder, how = encoder_in(tmp_path), {"size": SIZE, "stem": "standard"}
    selftaught.fit(encoder, data, out=tmp_path / "model", method="linear", **how)  # type: ignore[arg-type]
    mixed = np.random.default_rng(0).normal(140, 30, (3, 32, 40, 3)).clip(0, 255).astype(np.uint8)
    for i, pixels in enumerate(mixed):
        Image.fromarray(pixels).save(data / f"mixed{i}.png")
    found = selftaught.suggest(encoder, data, out=tmp_path / "out", count=2, model=tmp_path / "model", **how)  # type: ignore[arg-type]
    assert len(found["lists"]["next"]) == 2
    assert all(
        0 <= row["margin"] <= 1 and row["predicted"] in ("red", "green", "blue") for row in found["lists"]["next"]
    )


def test_wrong_arguments_are_one_sentence(tmp_path: Path) -> None:
    data = colours_in(tmp_path / "data", 2)
    with pytest.raises(ValueError, match=r"^--count must be at least 1, got 0$"):
        selftaught.suggest(encoder_in(tmp_path), data, out=tmp_path / "out", count=0)
    with pytest.raises(ValueError, match=r"holds other files, which are no suggestions"):
        selftaught.suggest(encoder_in(tmp_path), data, out=data)


def test_probabilities_are_of_layers_that_did_not_see_the_sample() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    noise = rng.normal(0, 1, (40, 50)).astype(np.float32)
    found = out_of_fold(noise, labels, 2, 0, torch.device("cpu"))
    assert 0.25 < (found.argmax(1) == labels).mean() < 0.75  # 1 where they did
    assert found.sum(1) == pytest.approx(np.ones(40))


def test_features_that_are_not_finite_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = colours_in(tmp_path / "data", 2)
    broken = "selftaught.evaluation.suggest.find.all_features"
    monkeypatch.setattr(broken, lambda *_, **__: torch.full((1, 4), torch.nan))
    with pytest.raises(ValueError, match=r"^features of .* are not finite; its training diverged"):
        selftaught.suggest(encoder_in(tmp_path), data, out=tmp_path / "out", size=SIZE, stem="standard")
    assert not (tmp_path / "out").exists()
