"""Parts of a mask by their size."""

from __future__ import annotations

import numpy as np

from selftaught.data.computed.regions.blobs import small_blobs


def test_parts_below_a_size_or_a_share_of_the_largest() -> None:
    mask = np.zeros((8, 12), bool)
    mask[1:4, 1:5] = True  # 12 pixels
    mask[5:7, 7:10] = True  # 6
    mask[0, 11] = True  # 1
    assert small_blobs(mask, share=0.4).sum() == 1
    assert small_blobs(mask, share=0.6).sum() == 7
    assert small_blobs(mask, least=13).sum() == 19
    assert not (small_blobs(mask, least=13) & ~mask).any()
    assert not small_blobs(np.zeros((4, 4), bool), least=9).any()
