"""Names of masks, and what cannot be written."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from selftaught.core.settings.groups import DataSettings
from selftaught.evaluation.models import predict_dense as dense
from selftaught.evaluation.models.dense_model import FoundMask
from selftaught.evaluation.models.folder import read_facts
from selftaught.evaluation.models.predict_dense import _Masks, predict_dense
from tests.evaluation.drawn_boxes import Squares


def test_two_images_of_one_stem_are_two_masks(tmp_path: Path) -> None:
    masks = _Masks(tmp_path / "out", ("ground", "red"))
    sample = Squares(1, 0).read(0)
    for i, key in enumerate(("a/b.jpg", "a/b.png")):
        masks.add(key, sample, FoundMask(labels=np.full((3, 4), i), confidence=np.ones((3, 4), np.float32)))
    assert masks.close() == {"masks": 2}
    found = {p.relative_to(tmp_path / "out").as_posix(): p for p in (tmp_path / "out").rglob("*.png")}
    assert found.keys() == {"a/b.png", "a/b.png.png"}
    assert np.asarray(Image.open(found["a/b.png.png"])).tolist() == [[1] * 4] * 3


def test_pixels_below_the_threshold_have_no_class(tmp_path: Path) -> None:
    masks = _Masks(tmp_path / "out", ("ground", "red"), 0.6)
    confidence = np.array([[0.5, 0.6], [0.5999999, 0.59]], np.float32)
    masks.add("a.jpg", Squares(1, 0).read(0), FoundMask(labels=np.ones((2, 2), np.int64), confidence=confidence))
    assert masks.close() == {"masks": 1, "cannot_tell_pixels": 50.0}
    assert np.asarray(Image.open(tmp_path / "out" / "a.png")).tolist() == [[255, 1], [1, 255]]
    classes = json.loads((tmp_path / "out" / "classes.json").read_text())
    assert classes == {"0": "ground", "1": "red", "255": "cannot tell"}
    with pytest.raises(
        ValueError,
        match=r"^masks are written with 8 bits for at most 255 classes, the model has 256; fit one on labels of fewer "
        r"classes$",
    ):
        _Masks(tmp_path / "many", tuple(map(str, range(256))))


@pytest.mark.parametrize("overwrite", [False, True])
def test_files_that_are_there_are_not_replaced(place: Path, tmp_path: Path, overwrite: bool) -> None:
    facts = read_facts(place / "model")
    (tmp_path / "photo.jpg").write_bytes(b"")
    how = {"accelerator": "auto", "overwrite": overwrite}
    reading = DataSettings(path=str(place))
    with pytest.raises(ValueError, match=r"holds other files, which are no masks of predict \(such as photo.jpg\)"):
        predict_dense(place / "model", replace(facts, kind="masks"), reading, tmp_path, **how)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"must end with one of .json"):
        predict_dense(place / "model", replace(facts, kind="boxes"), reading, tmp_path / "out.csv", **how)  # type: ignore[arg-type]


def test_masks_are_all_there_or_as_before_and_replace_only_masks(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(key: str) -> object:
        return FoundMask(labels=np.zeros((3, 4), np.int64), confidence=np.ones((3, 4), np.float32))

    facts, out = replace(read_facts(place / "model"), kind="masks"), tmp_path / "masks"

    def written(*keys: str, overwrite: bool = False) -> set[str]:
        monkeypatch.setattr(dense, "_images", lambda *_: ((key, Squares(1, 0).read(0)) for key in keys))
        how = {"accelerator": "auto", "overwrite": overwrite}
        predict_dense(place / "model", facts, DataSettings(path=str(place)), out, **how)  # type: ignore[arg-type]
        return {path.name for path in out.iterdir()}

    monkeypatch.setattr(dense, "load_finder", lambda *_: found)
    with monkeypatch.context() as patch:
        patch.setattr(dense, "write_json", lambda *_: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            written("a.jpg")
    assert not out.exists()
    assert written("a.jpg") == {".selftaught", "a.png", "classes.json"}
    with pytest.raises(ValueError, match=r"already holds masks; give another folder, or --overwrite to replace them"):
        written("b.jpg")
    (out / "mine.png").write_bytes(b"")
    with monkeypatch.context() as patch:
        patch.setattr(dense, "write_json", lambda *_: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            written("b.jpg", overwrite=True)
    assert {path.name for path in out.iterdir()} == {".selftaught", "a.png", "classes.json", "mine.png"}
    assert written("b.jpg", overwrite=True) == {".selftaught", "b.png", "classes.json", "mine.png"}
