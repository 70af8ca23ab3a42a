"""Models of boxes and masks: fitted, kept, and the same when they are loaded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import selftaught
from selftaught.evaluation.dense.detector import Detector
from selftaught.evaluation.metrics.calibration import Threshold
from selftaught.evaluation.models.dense_model import FoundMask, load_finder
from selftaught.evaluation.models.folder import read_facts, read_held_back
from selftaught.evaluation.probes.detection import Detection
from tests.evaluation.drawn_boxes import Squares, voc_tree
from tests.evaluation.models.own_encoder import encoder_in


@pytest.fixture(autouse=True, scope="module")
def _few_candidates() -> Iterator[None]:
    """As in the tests of the probe: most time goes into candidates."""
    build = Detection._build

    def with_few(self: Detection, *args: Any) -> Detector:
        detector = build(self, *args)
        detector.rpn._pre_nms_top_n = {"training": 100, "testing": 100}
        return detector

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Detection, "_build", with_few)
        yield


def test_boxes_become_coco_json(tmp_path: Path) -> None:
    data = voc_tree(tmp_path / "voc", 8, 4)
    how = {"kind": "boxes", "steps": 2, "batch_size": 2, "size": 64, "stem": "standard"}
    names = [f"JPEGImages/test{i}.png" for i in range(4)]
    (tmp_path / "donors.csv").write_text("file,group\n" + "".join(f"{n},{i}\n" for i, n in enumerate(names)))
    how["groups"] = str(tmp_path / "donors.csv")  # each image by itself, so that nothing changes
    found = selftaught.fit(encoder_in(tmp_path), data, out=tmp_path / "model", **how)  # type: ignore[arg-type]
    facts = read_facts(tmp_path / "model")
    assert "groups" not in facts.held_back
    assert (facts.kind, facts.classes, found["labels"]) == ("boxes", ("blue", "red"), 8)
    assert facts.held_back["map"] == found["map"]
    assert facts.random["samples"] == 4
    images = tmp_path / "images"
    images.mkdir()
    for i in range(2):
        Image.fromarray(Squares(2, 5).read(i).image.permute(1, 2, 0).numpy()).save(images / f"{i}.png")
    (images / "broken.png").write_bytes(b"no image")
    said = selftaught.predict(tmp_path / "model", images, out=tmp_path / "boxes.json")
    coco = json.loads((tmp_path / "boxes.json").read_text())
    assert [(one["file_name"], one["width"], one["height"]) for one in coco["images"]] == [
        ("0.png", 80, 60),
        ("1.png", 80, 60),
    ]
    assert [one["name"] for one in coco["categories"]] == ["blue", "red"]
    assert (said["images"], said["boxes"], said["skipped"]) == (2, len(coco["annotations"]), 1)
    held = read_held_back(tmp_path / "model", facts)
    assert held.groups is not None
    assert len(held.confidence) == facts.held_back["rows"]
    assert set(held.groups.tolist()) <= {0, 1, 2, 3}
    scores = np.sort([one["score"] for one in coco["annotations"]])
    least = float(np.convolve(scores, [0.5, 0.5], "valid")[np.diff(scores).argmax()])  # in the widest gap
    with pytest.MonkeyPatch.context() as patch:
        threshold = Threshold(confidence=least, error=None, interval=(0.0, 100.0), answered=0.0)
        patch.setattr("selftaught.evaluation.models.predict_dense.threshold_of", lambda *_: threshold)
        sure = selftaught.predict(tmp_path / "model", images, out=tmp_path / "sure.json", error=0.1)
    assert sure["threshold"] == pytest.approx(least)
    assert sure["boxes"] == (scores > least).sum()
    seen = tmp_path / "seen"
    seen.mkdir()
    for i in range(2):
        shutil.copyfile(data / "JPEGImages" / f"test{i}.png", seen / f"test{i}.png")
    selftaught.predict(tmp_path / "model", seen, out=tmp_path / "seen.json")
    # What was judged is what is answered: in 32 bits and one image at a time, whatever precision it learned in.
    again = json.loads((tmp_path / "seen.json").read_text())["annotations"]
    assert sorted(one["score"] for one in again) == sorted(
        round(float(value), 4) for value, group in zip(held.confidence, held.groups, strict=True) if group < 2
    )
    assert all(
        0 <= b["bbox"][0] <= 80 and b["category_id"] in (1, 2) and 0 <= b["score"] <= 1 for b in coco["annotations"]
    )


def test_masks_become_png_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for part, count in (("train", 4), ("test", 2)):
        for i in range(count):
            mask = np.zeros((40, 48), np.uint8)
            mask[8:30, 6 + i : 30] = 1
            pixels = rng.integers(0, 90, (40, 48, 3)) + 150 * mask[..., None]
            for folder, shown in (("images", pixels), ("masks", mask)):
                place = tmp_path / "data" / folder / part
                place.mkdir(parents=True, exist_ok=True)
                Image.fromarray(shown.astype(np.uint8)).save(place / f"{i}.png")
    (tmp_path / "data" / "classes.txt").write_text("0\tground\n1\tbright\n")
    how = {"kind": "masks", "steps": 2, "batch_size": 2, "size": 32, "stem": "standard"}
    found = selftaught.fit(encoder_in(tmp_path), tmp_path / "data", out=tmp_path / "model", **how)  # type: ignore[arg-type]
    facts = read_facts(tmp_path / "model")
    assert facts.kind == "masks"
    assert found["miou"] == facts.held_back["miou"]
    said = selftaught.predict(tmp_path / "model", tmp_path / "data" / "images", out=tmp_path / "out")
    assert said["masks"] == 6
    written = np.asarray(Image.open(tmp_path / "out" / "test" / "0.png"))
    assert written.shape == (40, 48)
    assert json.loads((tmp_path / "out" / "classes.json").read_text()) == {"0": "ground", "1": "bright"}
    finder = load_finder(tmp_path / "model", facts, torch.device("cpu"))
    pixels = np.array(Image.open(tmp_path / "data" / "images" / "test" / "0.png"))
    sample = Squares(1, 0).read(0)
    again = finder(type(sample)(image=torch.from_numpy(pixels).permute(2, 0, 1), boxes=sample.boxes,
                                labels=sample.labels, ignore=sample.ignore))  # fmt: skip
    assert isinstance(again, FoundMask)
    assert np.array_equal(again.labels, written)
    held = read_held_back(tmp_path / "model", facts)
    assert held.groups is not None
    assert (len(held.right), sorted(set(held.groups.tolist()))) == (2 * 40 * 48, [0, 1])  # all pixels of two images
    assert 100 * held.right.mean() == pytest.approx(_accuracy_of_pixels(tmp_path), abs=1e-9)  # judged as answered


def _accuracy_of_pixels(place: Path) -> float:
    """In percent, of the masks in `out` of the test images."""
    right = [
        np.asarray(Image.open(place / "out" / "test" / f"{i}.png"))
        == np.asarray(Image.open(place / "data" / "masks" / "test" / f"{i}.png"))
        for i in range(2)
    ]
    return 100 * float(np.mean(right))


def test_wrong_arguments_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^--class-weights and --lr are for --kind classes; leave them out for box"):
        selftaught.fit(encoder_in(tmp_path), tmp_path, out=tmp_path / "model", kind="boxes", class_weights="balanced")
