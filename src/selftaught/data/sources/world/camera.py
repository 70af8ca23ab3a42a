"""A pinhole camera that moves and turns; its axes are right, down and forward."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_NEAREST = 1e-3
"""Metres before the camera at which what is behind it is projected."""


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A camera at one moment."""

    side: int
    """Pixels of the square image."""
    focal: float
    """Pixels."""
    pose: Floats
    """(4, 4), world = pose @ camera."""

    @property
    def centre(self) -> Floats:
        """(3,) where it is in the world."""
        return np.ascontiguousarray(self.pose[:3, 3])

    @property
    def intrinsics(self) -> Floats:
        """(3, 3); the middle of the first pixel is at (0.5, 0.5)."""
        middle = self.side / 2
        return np.array([[self.focal, 0, middle], [0, self.focal, middle], [0, 0, 1]])

    def pixels(self) -> Floats:
        """(side * side, 2) (x, y) of the middle of each pixel, row by row."""
        y, x = np.mgrid[: self.side, : self.side]
        return np.stack([x.ravel() + 0.5, y.ravel() + 0.5], 1)

    def rays(self, pixels: Floats) -> Floats:
        """(N, 3) directions in the world through (N, 2) places of the image, as long as one metre of depth."""
        seen = np.ones((len(pixels), 3))
        seen[:, :2] = (pixels - self.side / 2) / self.focal
        return np.ascontiguousarray(seen @ self.pose[:3, :3].T)

    def project(self, points: Floats) -> tuple[Floats, Floats]:
        """(N, 2) places in the image of points (N, 3) of the world, and their depth (N,)."""
        return self.project_direction(points - self.pose[:3, 3])

    def project_direction(self, directions: Floats) -> tuple[Floats, Floats]:
        """As `project`, of what is infinitely far away in a direction (N, 3)."""
        seen = directions @ self.pose[:3, :3]
        return seen[:, :2] / np.maximum(seen[:, 2:], _NEAREST) * self.focal + self.side / 2, seen[:, 2]


@dataclass(frozen=True, kw_only=True)
class Path:
    """How a camera moves: straight on with a sway, while it looks at a point that moves as well."""

    focal: float
    """In sides of the image."""
    start: Floats
    """(3,) metres."""
    velocity: Floats
    """(3,) metres a second."""
    target: Floats
    """(3,) what it looks at."""
    target_velocity: Floats
    sway: Floats
    """(3,) metres to each side."""
    phase: float
    roll: float
    """Radians to each side."""
    pace: float = 2.0
    """Of sway and roll, radians a second."""

    def at(self, seconds: float, side: int) -> Camera:
        """The camera at one moment."""
        swing = np.sin(self.pace * seconds + self.phase)
        centre = self.start + self.velocity * seconds + self.sway * swing
        pose = np.eye(4)
        pose[:3, :3] = looking(self.target + self.target_velocity * seconds - centre, self.roll * swing)
        pose[:3, 3] = centre
        return Camera(side=side, focal=self.focal * side, pose=pose)

    def stopped(self) -> Path:
        """A path on which the camera stays where this one begins, and looks where it looks there."""
        return replace(self, velocity=np.zeros(3), target_velocity=np.zeros(3), pace=0.0)


def looking(forward: Floats, roll: float = 0.0) -> Floats:
    """Rotation (3, 3) of a camera that looks along `forward` (3,), upright but for `roll`, to the world."""
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= max(float(np.linalg.norm(right)), 1e-9)
    down = np.cross(forward, right)
    turned = right * np.cos(roll) + down * np.sin(roll), down * np.cos(roll) - right * np.sin(roll)
    return np.stack([*turned, forward], 1)
