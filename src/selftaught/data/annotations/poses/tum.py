"""Trajectories and lists of images as the RGB-D benchmark of TUM has them (Sturm et al., IROS 2012)."""

from __future__ import annotations

from selftaught.data.annotations.poses.rows import read_rows
from selftaught.data.annotations.poses.trajectory import Trajectory, poses_of, timed

DEPTH_UNITS = 5000
"""Of a depth map in a metre."""
NEAREST = 0.02
"""Seconds within which an image and a depth map are of one moment."""


def read_trajectory(text: str, file: str) -> Trajectory:
    """`timestamp tx ty tz qx qy qz qw` a line: seconds, metres, a unit quaternion with its real part last.

    Raises:
        ValueError: of one sentence that names the file.
    """
    rows = read_rows(text, file, 8)
    return timed(rows[:, 0], poses_of(rows[:, 1:4], rows[:, 4:], file), file)


def read_list(text: str) -> list[tuple[float, str]] | None:
    """Seconds and path of each image of an `rgb.txt` or `depth.txt`, sorted by time; None of any other text."""
    found = []
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        second, _, path = line.strip().partition(" ")
        try:
            found.append((float(second), path.strip()))
        except ValueError:
            return None
    return sorted(found) if found and all(path for _, path in found) else None
