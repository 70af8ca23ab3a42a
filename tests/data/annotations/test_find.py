"""Which format annotations are in, and what is said of others."""

from __future__ import annotations

from pathlib import Path

import pytest

from selftaught.data.annotations.find import find_annotations
from selftaught.data.annotations.voc import VocBoxes, VocMasks
from selftaught.data.files.zip_tree import open_tree
from tests.data.trees import DOG, text, voc


def test_a_format_is_read_for_what_is_needed_of_it(tmp_path: Path) -> None:
    tree = open_tree(str(voc(tmp_path / "voc", {}, objects={"000": [DOG]})))
    assert isinstance(find_annotations(tree, frozenset({"box"})), VocBoxes)
    assert isinstance(find_annotations(tree, frozenset({"mask"})), VocMasks)


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (("0.jpg", "0.txt"), "labelImg's XML or YOLO's text files"),
        (("0.jpg", "0.json"), "0.json and the like are LabelMe's"),
    ],
)
def test_forms_that_are_not_read_are_named(tmp_path: Path, files: tuple[str, str], sentence: str) -> None:
    for file in files:
        text(tmp_path / file, "a caption")
    with pytest.raises(ValueError, match=sentence):
        find_annotations(open_tree(str(tmp_path)), frozenset({"box"}))
