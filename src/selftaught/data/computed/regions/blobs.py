"""Connected parts of a mask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label


def small_blobs(mask: NDArray[np.bool_], *, least: float = 0.0, share: float = 0.0) -> NDArray[np.bool_]:
    """Which pixels of a mask (H, W) are in connected parts below `least` pixels, or `share` of the largest part."""
    numbers, count = label(mask)
    if not count:
        return np.zeros_like(mask)
    sizes = np.bincount(numbers.reshape(-1), minlength=count + 1)
    small = sizes < max(least, share * int(sizes[1:].max()))
    small[0] = False
    return np.asarray(small[numbers])
