"""Boxes and masks of one image, whatever their format."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from selftaught.data.annotations.base import Boxes, inside, with_boxes, with_mask


@pytest.mark.parametrize(
    ("edges", "cut"),
    [
        ([0, 0, 40, 30], [0, 0, 40, 30]),
        ([-1, -0.5, 41, 30.4], [0, 0, 40, 30]),
        ([5, 5, 5, 9], [5, 5, 5, 9]),
        ([-1.5, 0, 4, 4], None),
        ([0, 0, 41.5, 4], None),
        ([9, 0, 4, 4], None),
        ([0, 9, 4, 4], None),
        ([float("nan"), 0, 4, 4], None),
    ],
)
def test_a_box_is_cut_to_its_image_by_a_pixel_at_most(edges: list[float], cut: list[float] | None) -> None:
    found = inside(np.array(edges, np.float32), width=40, height=30)
    assert (None if found is None else found.tolist()) == cut


def test_a_sample_with_boxes_has_no_mask() -> None:
    boxes = Boxes(np.array([[1, 2, 3, 4]], np.float32), np.array([5]), np.array([True]))
    sample = with_boxes(torch.zeros(3, 30, 40, dtype=torch.uint8), boxes)
    assert sample.boxes.tolist() == [[1, 2, 3, 4]]
    assert (sample.labels.tolist(), sample.ignore.tolist(), sample.mask) == ([5], [True], None)


def test_a_mask_has_the_size_of_its_image() -> None:
    image = torch.zeros(3, 30, 40, dtype=torch.uint8)
    sample = with_mask(image, np.full((30, 40), 7), "m.png")
    assert sample.mask is not None
    assert sample.mask.unique().tolist() == [7]
    assert sample.boxes.shape == (0, 4)
    with pytest.raises(ValueError, match=r"^m.png is 30 x 40 pixels, but its image 40 x 30$"):
        with_mask(image, np.zeros((40, 30), np.int64), "m.png")
