"""COCO's JSON files as people's tools write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selftaught.evaluation.data.dense import open_dense
from tests.data.annotations.notes import BOXES, both, note
from tests.data.trees import picture, text, write


def rewrite(root: Path, content: Any, **settings: Any) -> None:
    text(root / "annotations" / "instances_train.json", json.dumps(content, **settings))


@pytest.mark.parametrize(
    "prefix",
    [
        "./",
        "..\\label\\",
        "C:\\data\\images\\",
        "/home/x/data/",
        "images/",
        "data/local-files/?d=x/",
        "./images/train/",
    ],
)
def test_paths_of_other_machines(tmp_path: Path, prefix: str) -> None:
    content = both(tmp_path)
    for number, image in enumerate(content["images"]):
        image["file_name"] = f"{prefix}{number:03d}.png"
    rewrite(tmp_path, content)
    data = open_dense(str(tmp_path), needs=BOXES)
    assert list(data.train.keys) == ["images/train/000.png", "images/train/001.png"]
    assert data.train.read(0).boxes.tolist() == [[0, 0, 5, 5]]


def test_a_name_that_several_files_have_is_used_only_if_its_folders_decide(tmp_path: Path) -> None:
    content = both(tmp_path)
    for folder in ("a", "b"):
        write(tmp_path / "images" / folder / "same.png", picture(0))
    content["images"][0]["file_name"] = "/home/x/a/same.png"
    content["images"][1]["file_name"] = "/home/x/same.png"
    rewrite(tmp_path, content)
    with pytest.raises(ValueError, match=r"names the image /home/x/same.png, which is missing"):
        open_dense(str(tmp_path), needs=BOXES)
    data = open_dense(str(tmp_path), needs=BOXES, skip_broken=True)
    assert list(data.train.keys) == ["images/a/same.png"]


@pytest.mark.parametrize("size", ["absent", None, 0, -3, "?", float("nan"), float("inf"), "40"])
def test_a_missing_size_is_that_of_the_image(tmp_path: Path, size: Any) -> None:
    content = both(tmp_path, [note(0, 5, [30, 20, 10, 10]), note(1, 5, [1, 1, 2, 2])])
    for image in content["images"]:
        if size == "absent":
            del image["width"], image["height"]
        else:
            image["width"] = size
    rewrite(tmp_path, content)
    data = open_dense(str(tmp_path), needs=BOXES)
    assert (len(data.train), len(data.test)) == (2, 2)
    assert data.train.read(0).boxes.tolist() == [[30, 20, 40, 30]]
    content["annotations"][1]["bbox"] = [50, 1, 2, 2]
    rewrite(tmp_path, content)
    with pytest.raises(ValueError, match=r"not inside 40 x 30"):
        open_dense(str(tmp_path), needs=BOXES)


def test_text_ids_are_those_of_numbers(tmp_path: Path) -> None:
    content = both(tmp_path)
    for image in content["images"]:
        image["id"] = str(image["id"])
    content["annotations"][0]["category_id"] = "5"
    rewrite(tmp_path, content)
    data = open_dense(str(tmp_path), needs=BOXES)
    assert data.train.read(0).labels.tolist() == [1]
    content["images"][0]["id"] = float(content["images"][0]["id"])
    rewrite(tmp_path, content)
    assert open_dense(str(tmp_path), needs=BOXES).train.read(0).labels.tolist() == [1]


def test_annotations_of_no_image_are_one_line_or_skipped(tmp_path: Path) -> None:
    content = both(tmp_path, [note(0, 5, [0, 0, 5, 5]), note(70, 5, [0, 0, 5, 5])])
    content["annotations"] += [None, {"id": 9}]
    content["images"] += [3, {"id": 4}]
    rewrite(tmp_path, content)
    with pytest.raises(
        ValueError, match=r"train.json: .* \(and 4 more like it\); correct it, or leave .*--skip-broken"
    ):
        open_dense(str(tmp_path), needs=BOXES)
    data = open_dense(str(tmp_path), needs=BOXES, skip_broken=True)
    assert (len(data.train), len(data.test), len(data.train.skipped)) == (2, 2, 5)
    file = "annotations/instances_train.json"
    assert (file, "annotation 1 is of the image 77, which it does not list") in data.train.skipped


def test_boxes_that_leave_by_a_pixel_are_cut_and_counted(tmp_path: Path) -> None:
    both(tmp_path, [note(0, 5, [-1, 0, 41.5, 30.2]), note(1, 5, [0, 0, 40, 30]), note(1, 2, [38, 28, 3, 3])])
    data = open_dense(str(tmp_path), needs=BOXES)
    assert data.train.read(0).boxes.tolist() == [[0, 0, 40, 30]]
    assert data.train.read(1).boxes.tolist() == [[0, 0, 40, 30], [38, 28, 40, 30]]
    assert data.notes == ("2 boxes leave their image by up to 1 pixel and were cut to it",)


@pytest.mark.parametrize(
    "bbox", [None, "1 2 3 4", [1, 2, 3], [1, 2, 3, None], ["a", 1, 2, 3], {}, [float("nan")] * 4, [0, 0, 1e999, 1]]
)
def test_a_bbox_that_is_none_is_one_line_or_skipped(tmp_path: Path, bbox: Any) -> None:
    both(tmp_path, [note(0, 5, [0, 0, 5, 5]), {**note(1, 5, [0, 0, 1, 1]), "bbox": bbox}])
    with pytest.raises(ValueError, match=r"001.png has (the bbox|a box)") as refused:
        open_dense(str(tmp_path), needs=BOXES)
    assert "\n" not in str(refused.value)
    assert len(open_dense(str(tmp_path), needs=BOXES, skip_broken=True).train) == 1


def test_files_that_are_no_coco_are_one_line(tmp_path: Path) -> None:
    content = both(tmp_path)
    file = tmp_path / "annotations" / "instances_train.json"
    good = file.read_bytes()
    file.write_bytes(b"\xef\xbb\xbf" + good)
    assert len(open_dense(str(tmp_path), needs=BOXES).train) == 2
    named = b'"images" "annotations" "categories"'
    for damage in (good[:-20], good.replace(b"dog", b"\xff\xfe"), named + b"[" * 100_000, b"[" * 100_000 + named):
        file.write_bytes(damage)
        with pytest.raises(ValueError, match=r"instances_train.json of .* is no COCO JSON"):
            open_dense(str(tmp_path), needs=BOXES)
    for lacks in ("categories", "images"):
        rewrite(tmp_path, {**content, lacks: None})
        with pytest.raises(ValueError, match=rf"is no COCO JSON .*: {lacks} must be a list"):
            open_dense(str(tmp_path), needs=BOXES)
    rewrite(tmp_path, {**content, "categories": [{"id": 5}]})
    with pytest.raises(ValueError, match="a category without id or name"):
        open_dense(str(tmp_path), needs=BOXES)


def test_two_images_of_one_id_and_one_image_in_two_parts(tmp_path: Path) -> None:
    content = both(tmp_path)
    content["images"][1]["id"] = content["images"][0]["id"]
    rewrite(tmp_path, content)
    with pytest.raises(ValueError, match=r"gives images/train/00\d.png the id 7 of images/train/00\d.png"):
        open_dense(str(tmp_path), needs=BOXES)
    content = both(tmp_path)
    content["images"][1]["file_name"] = "images/val/001.png"
    rewrite(tmp_path, content)
    with pytest.raises(ValueError, match=r"images/val/001.png is in .*_train.json and in .*_val.json"):
        open_dense(str(tmp_path), needs=BOXES)
