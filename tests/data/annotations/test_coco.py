"""COCO's JSON files: boxes, polygons and run lengths, where images are, and what is wrong in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selftaught.data.sources.open import open_source
from selftaught.evaluation.data.dense import open_dense
from tests.data.annotations.notes import BOXES, MASKS, both, note
from tests.data.trees import coco, encoded, picture, text, write


def test_boxes_are_edges_and_crowds_and_empty_boxes_are_ignored(tmp_path: Path) -> None:
    notes = [
        note(0, 5, [1, 2, 10, 20]),
        note(0, 2, [0, 0, 40.4, 30], iscrowd=1),  # half a pixel outside is rounding
        note(0, 2, [4, 4, 0, 5]),
    ]
    coco(tmp_path, "train2017", notes)
    coco(tmp_path, "val2017", [])
    data = open_dense(str(tmp_path), needs=BOXES)
    assert data.classes == ("cat", "dog")  # by ascending id
    assert data.test_is == "the data's own val part"
    sample = data.train.read(0)
    assert sample.boxes.tolist() == [[1, 2, 11, 22], [0, 0, 40, 30], [4, 4, 4, 9]]
    assert sample.labels.tolist() == [1, 0, 0]
    assert sample.ignore.tolist() == [False, True, True]
    assert data.train.read(1).boxes.shape == (0, 4)
    assert data.train.keys[0] == "images/train2017/000.png"
    assert data.test.keys[0] == "images/val2017/000.png"  # the same name in the other part


def test_masks_leave_out_what_two_classes_claim_and_crowds(tmp_path: Path) -> None:
    box: list[float] = [0, 0, 5, 5]
    counts = [30 * 30, 30 * 10]  # the last ten columns
    notes = [
        note(0, 5, box, segmentation=[[10, 10, 20, 10, 20, 20, 10, 20], [0, 0, 4, 0, 4, 4, 0, 4]]),
        note(0, 2, box, segmentation=[[15, 10, 25, 10, 25, 20, 15, 20]]),
        note(0, 5, box, segmentation=[[12, 12, 14, 12, 14, 14, 12, 14]]),
        note(0, 2, box, iscrowd=1, segmentation={"size": [30, 40], "counts": counts}),
    ]
    coco(tmp_path, "train", notes, count=1)
    coco(tmp_path, "val", [], count=1)
    data = open_dense(str(tmp_path), needs=MASKS)
    mask = data.train.read(0).mask
    assert mask is not None
    assert data.classes == ("background", "cat", "dog")
    expected = np.zeros((30, 40), np.int64)
    expected[10:20, 10:15] = expected[:4, :4] = 2
    expected[10:20, 15:20] = 255
    expected[10:20, 20:25] = 1
    expected[:, 30:] = 255
    assert np.array_equal(mask.numpy(), expected)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (note(1, 9, [0, 0, 5, 5]), r"instances_train.json: annotation 1 of images/train/001.png names category 9"),
        (note(1, 5, [30, 0, 20, 5]), r"001.png has a box \(30, 0, 20, 5\) not inside 40 x 30"),
        (note(1, 5, [3, 3, -2, 5]), r"001.png has a box"),
        ({"image_id": 8, "category_id": 5}, r"001.png has no 'bbox'"),
    ],
)
def test_what_is_wrong_is_one_sentence_or_skipped(tmp_path: Path, wrong: dict[str, Any], sentence: str) -> None:
    coco(tmp_path, "train", [note(0, 5, [0, 0, 5, 5]), wrong])
    coco(tmp_path, "val", [])
    with pytest.raises(ValueError, match=sentence + ".*--skip-broken"):
        open_dense(str(tmp_path), needs=BOXES)
    data = open_dense(str(tmp_path), needs=BOXES, skip_broken=True)
    assert (len(data.train), len(data.test)) == (1, 2)
    assert [key for key, _ in data.train.skipped] == ["images/train/001.png"]


def test_missing_images_and_wrong_sizes(tmp_path: Path) -> None:
    content = coco(tmp_path, "train", [])
    coco(tmp_path, "val", [])
    content["images"][1]["file_name"] = "gone.png"
    content["images"][0]["width"] = 41
    text(tmp_path / "annotations" / "instances_train.json", json.dumps(content))
    with pytest.raises(ValueError, match=r"instances_train.json names the image gone.png, which is missing"):
        open_dense(str(tmp_path), needs=BOXES)
    drawn = open_dense(str(tmp_path), needs=BOXES, skip_broken=True)
    assert drawn.notes[0] == "no image of the train part can be used; 1 of the others are held out instead"
    text(tmp_path / "annotations" / "instances_val.json", json.dumps(content))
    with pytest.raises(ValueError, match=r"no usable image with annotations in its train part"):
        open_dense(str(tmp_path), needs=BOXES, skip_broken=True)
    coco(tmp_path, "val", [])
    content["images"].pop()
    text(tmp_path / "annotations" / "instances_train.json", json.dumps(content))
    with pytest.raises(ValueError, match=r"says that images/train/000.png is 41 x 30 pixels, not 40 x 30"):
        open_dense(str(tmp_path), needs=BOXES).train.read(0)
    text(tmp_path / "annotations" / "instances_val.json", '{"images": 3, "annotations": 4, "categories": 5}')
    with pytest.raises(ValueError, match=r"val.json"):
        open_dense(str(tmp_path), needs=BOXES)


def test_annotations_are_of_the_stored_pixels_whatever_exif_says(tmp_path: Path) -> None:
    coco(tmp_path, "train", [])
    coco(tmp_path, "val", [])
    turned = encoded(picture(0), "JPEG", exif=bytes.fromhex("45786966000049492a00080000000100120103000100000006000000"))
    (tmp_path / "images" / "train" / "000.png").write_bytes(turned)
    assert open_dense(str(tmp_path), needs=BOXES).train.read(0).image.shape == (3, 30, 40)


def test_one_json_beside_the_images_of_each_part(tmp_path: Path) -> None:
    for part, count in (("train", 3), ("valid", 2)):
        content = coco(tmp_path / "made", part, [], count=count)
        for number in range(count):
            write(tmp_path / part / f"{number:03d}.png", picture(number))
        text(tmp_path / part / "_annotations.coco.json", json.dumps(content))
    for path in sorted((tmp_path / "made").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    data = open_dense(str(tmp_path), needs=BOXES)
    assert (len(data.train), len(data.test)) == (3, 2)
    assert data.train.keys[0] == "train/000.png"


def test_several_classes_of_a_image(tmp_path: Path) -> None:
    coco(tmp_path, "train", [note(0, 5, [0, 0, 5, 5]), note(0, 5, [0, 0, 6, 5]), note(1, 2, [0, 0, 5, 5])])
    coco(tmp_path, "val", [])
    source = open_source(str(tmp_path), split="train", needs=frozenset({"image", "labels"}))
    assert source.classes == ("cat", "dog")
    assert source.targets is not None
    assert source.targets.tolist() == [[0, 1], [1, 0]]
    with pytest.raises(ValueError, match="one class for each sample is needed"):
        open_source(str(tmp_path), split="train", needs=frozenset({"image", "label"}))


def test_real_files(shared_data: Callable[[str], Path]) -> None:
    boxes = open_dense(str(shared_data("coco256")), needs=BOXES)
    masks = open_dense(str(shared_data("coco256")), needs=MASKS)
    assert (len(boxes.train), len(boxes.test), len(masks.train), len(masks.test)) == (128, 128, 100, 100)
    assert sum(len(boxes.train.read(i).boxes) for i in range(128)) == 929
    assert (len(boxes.classes), len(masks.classes)) == (80, 81)
    plain = open_source(str(shared_data("coco256")), split="train", needs=frozenset({"image"}))
    assert len(plain) == 128  # not the semantic masks
    assert plain.classes is None


@pytest.mark.parametrize(
    "segmentation",
    [
        [[1, 2, 3]],
        [["a", "b"]],
        [[[1, 2], [3, 4]]],
        [None],
        "x",
        7,
        {"size": [30, 40]},
        {"size": 3, "counts": [1]},
        {"size": [30, 40], "counts": "PP\x7f\xff"},
        {"size": [30, 40], "counts": "o" * 5000},
        {"size": [30, 40], "counts": [1 << 70]},
        {"size": [30, 40], "counts": [-5, 1205]},
        [[float("nan")] * 6],
    ],
)
def test_a_segmentation_that_is_none_is_one_line_or_skipped(tmp_path: Path, segmentation: Any) -> None:
    both(tmp_path, [note(0, 5, [0, 0, 5, 5]), {**note(1, 5, [0, 0, 5, 5]), "segmentation": segmentation}])
    data = open_dense(str(tmp_path), needs=MASKS, skip_broken=True)
    assert list(data.train.keys) == ["images/train/000.png"]
    assert "001.png" in data.train.skipped[0][1]
