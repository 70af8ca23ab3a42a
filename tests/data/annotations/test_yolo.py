"""Boxes of YOLO's text files, against numbers worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from selftaught.data.annotations.yolo import YoloBoxes, open_yolo, parse_lines, read_classes
from selftaught.data.files.zip_tree import open_tree
from tests.data.trees import picture, text, write


def yolo(root: Path, labels: dict[str, str], *, names: str = "names: [cat, dog]") -> YoloBoxes | None:
    """Images of 40 x 30 pixels in images/, with these text files in labels/."""
    for number, name in enumerate(labels):
        write(root / "images" / f"{name}.png", picture(number))
        text(root / "labels" / f"{name}.txt", labels[name])
    if names:
        text(root / "data.yaml", f"train: images/train\nval: images/val\n{names}\n")
    return open_yolo(open_tree(str(root)), masks=False)


def test_boxes_and_polygons_are_shares_of_the_sides(tmp_path: Path) -> None:
    found = yolo(
        tmp_path, {"train/a": "1 0.5 0.5 0.5 0.2\n0 0 0 1 0 1 0.5", "train/b": "", "val/c": "0 0.5 0.5 1.0 1.0\n"}
    )
    assert found is not None
    assert found.classes == ("cat", "dog")
    assert found.keys == ["images/train/a.png", "images/train/b.png", "images/val/c.png"]
    assert found.splits == {key: key.split("/")[1] for key in found.keys}
    sample = found.sample("images/train/a.png")
    np.testing.assert_allclose(sample.boxes, [[10, 12, 30, 18], [0, 0, 40, 15]])
    assert sample.labels.tolist() == [1, 0]
    assert len(found.sample("images/train/b.png").boxes) == 0
    assert {key: row.tolist() for key, row in found.targets().items()} == {
        "images/train/a.png": [1, 1],
        "images/train/b.png": [0, 0],
        "images/val/c.png": [1, 0],
    }


def test_files_beside_images_and_lists_of_classes(tmp_path: Path) -> None:
    write(tmp_path / "a.png", picture(0))
    text(tmp_path / "a.txt", "1 0.5 0.5 0.5 0.5")
    tree = open_tree(str(tmp_path))
    found = open_yolo(tree, masks=False)
    assert found is not None
    assert found.classes == ("0", "1")
    text(tmp_path / "classes.txt", "cat\ndog\n\n")
    assert read_classes(open_tree(str(tmp_path))) == ("cat", "dog")
    text(tmp_path / "data.yaml", "names:\n  0: cow\n  2: pig\n")
    assert read_classes(open_tree(str(tmp_path))) == ("cow", "1", "pig")
    assert open_yolo(tree, masks=True) is None


def test_texts_that_are_no_boxes_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path / "a.png", picture(0))
    text(tmp_path / "a.txt", "a cat on a sofa")
    assert open_yolo(open_tree(str(tmp_path)), masks=False) is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("0 0.5 0.5", "line 1 is neither a box nor a polygon"),
        ("cat 0.5 0.5 0.1 0.1", "line 1 is no class and numbers"),
        ("0 20 15 10 10", "line 1 leaves the image; YOLO's numbers are shares of its sides, from 0 to 1"),
        ("-1 0.5 0.5 0.1 0.1", "line 1 is neither a box nor a polygon"),
        ("0 nan 0.5 0.1 0.1", "line 1 is neither a box nor a polygon"),
    ],
)
def test_a_wrong_line_says_what_is_wrong(line: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_lines(line)


def test_an_unknown_class_and_a_wrong_list_are_named(tmp_path: Path) -> None:
    found = yolo(tmp_path, {"a": "0 0.5 0.5 1 1", "b": "7 0.5 0.5 1 1"})
    assert found is not None
    assert found.wrong == {"images/b.png": "labels/b.txt names the class 7, but there are 2"}
    text(tmp_path / "data.yaml", "nc: 2\n")
    with pytest.raises(ValueError, match=r"data.yaml of .* has no list `names` of classes"):
        open_yolo(open_tree(str(tmp_path)), masks=False)
