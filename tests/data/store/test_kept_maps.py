"""Maps are scaled as their images are, by the nearest value."""

from __future__ import annotations

import numpy as np

from selftaught.data.decode.fit import fit
from selftaught.data.decode.image import USUAL
from selftaught.data.store.kept_maps import fit_map


def test_a_map_covers_what_its_image_covers() -> None:
    for height, width in ((40, 60), (60, 40), (31, 30), (20, 90), (90, 20)):
        mask = np.zeros((height, width), np.uint8)
        mask[height // 3 :, : width // 2] = 200
        for side in (10, 20, 45):
            image = fit(np.repeat(mask[:, :, None], 3, 2), side=side, decoding=USUAL)
            found = fit_map(mask, height=image.shape[0], width=image.shape[1])
            assert set(np.unique(found)) <= {0, 200}
            assert (np.abs(image[:, :, 0].astype(int) - found) <= 100).mean() > 0.98


def test_depth_keeps_its_numbers() -> None:
    depth = np.arange(24, dtype=np.uint16).reshape(4, 6) * 1000
    assert np.array_equal(fit_map(depth, height=4, width=6), depth)
    assert np.array_equal(fit_map(depth, height=8, width=12), depth.repeat(2, 0).repeat(2, 1))
    assert fit_map(depth, height=2, width=3).dtype == np.uint16
