"""Images beside their true and predicted masks."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image

from selftaught.data.annotations.dense_sample import IGNORE
from selftaught.evaluation.dense.mask_drawings import GAP, SIDE, SOLID, draw_masks
from selftaught.ops.draw_maps import palette


def test_colours_are_those_of_voc_and_all_differ() -> None:
    assert palette(5).tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128]]
    assert palette(22)[[15, 20]].tolist() == [[192, 128, 128], [0, 64, 128]]
    assert len({tuple(colour) for colour in palette(256).tolist()}) == 256


def test_three_images_stand_side_by_side() -> None:
    rng = np.random.default_rng(0)
    image = torch.from_numpy(rng.integers(0, 256, (3, 10, 16), dtype=np.uint8))
    truth, predicted = (rng.integers(0, 3, (10, 16)) for _ in range(2))
    truth[0] = IGNORE
    sheet = np.asarray(Image.open(io.BytesIO(draw_masks(image, truth, predicted, 3))))
    assert sheet.shape == (10, 3 * 16 + 2 * GAP, 3)
    assert np.array_equal(sheet[:, :16], image.permute(1, 2, 0))
    shining = (1 - SOLID) * image.permute(1, 2, 0).numpy()
    colours = np.concatenate([palette(3), np.full((IGNORE - 2, 3), 255, np.uint8)])
    for left, mask in ((16 + GAP, truth), (32 + 2 * GAP, predicted)):
        assert np.abs(sheet[:, left : left + 16] - SOLID * colours[mask] - shining).max() <= 1
    assert (sheet[:, 16 : 16 + GAP] == 255).all()


def test_large_images_are_reduced_and_masks_keep_their_colours() -> None:
    mask = np.zeros((440, 220), np.int64)
    mask[:220] = 1
    image = torch.zeros(3, 440, 220, dtype=torch.uint8)
    sheet = np.asarray(Image.open(io.BytesIO(draw_masks(image, mask, mask, 2))))
    assert sheet.shape == (SIDE, 3 * 110 + 2 * GAP, 3)
    assert {tuple(colour) for colour in sheet[:, 110 + GAP : 220 + GAP].reshape(-1, 3)} == {(0, 0, 0), (102, 0, 0)}
