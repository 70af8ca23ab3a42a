from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from selftaught.evaluation.dense.box_drawings import FOUND, THERE, draw_boxes
from selftaught.evaluation.metrics.box_matches import Found, Truth


def test_true_boxes_are_green_and_the_most_confident_found_ones_orange() -> None:
    truth = Truth(
        boxes=np.array([[10.0, 10.0, 60.0, 50.0], [100.0, 10.0, 150.0, 50.0]]),
        labels=np.array([0, 1]),
        ignore=np.array([False, True]),
    )
    found = Found(
        boxes=np.array([[20.0, 20.0, 70.0, 70.0], [80.0, 60.0, 120.0, 75.0]]),
        scores=np.array([0.9, 0.1]),
        labels=np.array([0, 1]),
    )
    drawn = draw_boxes(torch.full((3, 80, 160), 128, dtype=torch.uint8), truth, found, ("dog", "car"))
    pixels = np.asarray(Image.open(io.BytesIO(drawn)))  # twice as large
    assert pixels.shape == (160, 320, 3)
    rows, columns = np.nonzero((pixels == THERE).all(2))
    assert (columns.min(), rows.min(), columns.max(), rows.max()) == (20, 20, 120, 100)
    rows, columns = np.nonzero((pixels == FOUND).all(2))
    assert (columns.min(), rows.min(), columns.max(), rows.max()) == (40, 40, 140, 140)


@pytest.mark.parametrize("score", [0.1, 0.9])
def test_the_most_confident_box_is_drawn_at_any_confidence_and_images_without_boxes_too(score: float) -> None:
    image = torch.zeros(3, 320, 200, dtype=torch.uint8)
    nothing = Truth(boxes=np.zeros((0, 4)), labels=np.zeros(0, np.int64), ignore=np.zeros(0, bool))
    one = Found(boxes=np.array([[20.0, 20.0, 70.0, 70.0]]), scores=np.array([score]), labels=np.array([0]))
    none = Found(boxes=np.zeros((0, 4)), scores=np.zeros(0), labels=np.zeros(0, np.int64))
    pixels = [np.asarray(Image.open(io.BytesIO(draw_boxes(image, nothing, found, ("dog",))))) for found in (one, none)]
    assert (pixels[0] == FOUND).all(2).any()
    assert not pixels[1].any()
