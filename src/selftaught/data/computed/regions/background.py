"""The part of a flow that the camera's motion explains."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Camera = Literal["homography", "affine"]
CAMERAS: tuple[Camera, ...] = ("homography", "affine")

_BORDER = 0.1
"""Share of a frame's short side, along each edge, in which most is taken for background."""
_INSIDE = 0.1
"""Weight of what is not at the border in the fit."""
_NEAR = 1.0
"""Pixels by which a point of the background may miss the fit."""
_ROUNDS = 30


def camera_flow(flow: NDArray[np.float32], camera: Camera = "homography") -> NDArray[np.float32]:
    """The part of a flow (h, w, 2) that one homography of the whole frame, or one affine map, explains: the camera's.

    The flow of a homography has eight parameters, u = a + b x + c y + g x^2 + h x y, v = d + e x + f y + g x y + h y^2
    (Longuet-Higgins 1984), exact where the motion between frames is small; that of an affine map has g = h = 0.

    By least squares, reweighted in every round by Geman and McClure's function of the residual, whose width falls
    to `_NEAR` pixels. Most weight is at the border of the frame: objects that a camera follows are in the middle, and
    may be larger than what is left of the background.
    """
    height, width = flow.shape[:2]
    right, down = _terms(height, width, camera)
    every = 2 if min(height, width) > 8 else 1
    some = (slice(None, None, every), slice(None, None, every))
    count = right.shape[2]
    equations = np.stack([right[some], down[some]], axis=2).reshape(-1, count)
    moved = flow[some].reshape(-1).astype(np.float64)
    prior = np.where(at_border(height, width), 1.0, _INSIDE)[some].reshape(-1)
    weights, near = prior, 0.0
    for _ in range(_ROUNDS):
        weighted = equations * weights.repeat(2)[:, None]
        # The last term keeps the solution finite where there are fewer points than parameters.
        found = np.linalg.solve(weighted.T @ equations + 1e-6 * np.eye(count), weighted.T @ moved)
        miss = np.linalg.norm((moved - equations @ found).reshape(-1, 2), axis=1)
        near = max(_NEAR, 0.9 * near if near else 3 * float(np.median(miss)))
        weights = prior / (1 + (miss / near) ** 2) ** 2
    return np.stack([right @ found, down @ found], axis=2).astype(np.float32)


def at_border(height: int, width: int) -> NDArray[np.bool_]:
    """True in the frame (height, width) along its edges."""
    wide = max(1, round(_BORDER * min(height, width)))
    found = np.ones((height, width), np.bool_)
    found[wide : height - wide, wide : width - wide] = False
    return found


def check_camera(program: str, camera: str) -> None:
    """Raise a ValueError where there is no such model of the camera."""
    if camera not in CAMERAS:
        raise ValueError(f"the camera of {program} must be one of {', '.join(CAMERAS)}, got {camera!r}")


def _terms(height: int, width: int, camera: Camera) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What each parameter adds to the flow to the right and down, (h, w, 8) or (h, w, 6) each."""
    y, x = np.mgrid[:height, :width]
    y, x = 2 * y / height - 1, 2 * x / width - 1
    one, none = np.ones((height, width)), np.zeros((height, width))
    right, down = [one, x, y, none, none, none], [none, none, none, one, x, y]
    if camera == "homography":
        wide = width / height  # x and y are shares of half a side, and the parameters are shared by both
        right += [wide * x * x, wide * x * y]
        down += [x * y, y * y]
    return np.stack(right, axis=2), np.stack(down, axis=2)
