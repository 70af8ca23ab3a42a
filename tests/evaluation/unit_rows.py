"""Rows scaled to unit length, as the squared hinge loss is computed on."""

from __future__ import annotations

import numpy as np


def unit(values: np.ndarray) -> np.ndarray:
    wide = values.astype(np.float64)
    return np.asarray(wide / (np.linalg.norm(wide, axis=1, keepdims=True) + 1e-5))
