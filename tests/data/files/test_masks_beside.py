"""Masks that stand in one folder with their images are known by the names of both."""

from __future__ import annotations

from pathlib import Path

import pytest

from selftaught.data.files.masks_beside import masks_beside
from selftaught.data.sources.open import open_source
from tests.data.trees import folder

IMAGES = frozenset({"image"})


@pytest.mark.parametrize(
    "mask",
    [
        "x_mask.png",
        "x_Mask.PNG",
        "x_mask_1.png",
        "x.mask.png",
        "x_seg.png",
        "x-depth.tif",
        "x_gt.png",
        "X_label.png",
        "x mask.png",
    ],
)
def test_masks_beside_their_image_are_no_samples(tmp_path: Path, mask: str) -> None:
    folder(tmp_path, "c/x.jpg", "c/y.jpg", f"c/{mask}", "d/x_mask.png", "d/z.jpg")
    source, held_out = (open_source(str(tmp_path), split=split, needs=IMAGES) for split in ("train", "held_out"))
    assert {entry.key for part in (source, held_out) for entry in part.entries} == {
        "c/x.jpg", "c/y.jpg", "d/x_mask.png", "d/z.jpg",
    }  # fmt: skip
    assert source.left_out.counts == {"masks": 1}
    assert list(source.notes) == [f"1 images are masks or depth maps of others and were left out (such as c/{mask})"]


def test_masks_are_known_by_a_image_beside_them_only() -> None:
    assert masks_beside(["benign (1).png", "benign (1)_mask.png", "benign (1)_mask_1.png"]) == {
        "benign (1)_mask.png", "benign (1)_mask_1.png",
    }  # fmt: skip
    assert masks_beside(["p1_rgb.png", "p1_label.png", "p2_label.png"]) == {"p1_label.png"}
    assert masks_beside(["gas_mask.jpg", "a/gas.jpg", "mask.png", "mask_1.png", "x.png", "x_1.png"]) == set()


def test_pairs_are_of_one_folder_and_capitals_do_not_matter() -> None:
    assert masks_beside(["a/X.jpg", "a/x_MASK.png", "b/x_mask.png"]) == {"a/x_MASK.png"}
    assert masks_beside(["a/x_leftImg8bit.png", "a/x_labelIds.png"]) == {"a/x_labelIds.png"}
