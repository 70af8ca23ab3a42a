"""The path of a camera, or of what carries it, by time, and where it is between the moments that are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from selftaught.data.annotations.poses.pose_matrices import check_poses

_SLACK = 1e-2
"""How far from 1 the norm of a quaternion may be, as files are rounded."""
_HOLE = 5
"""Usual steps between two moments, beyond which nothing is known of what lies between."""

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Trajectory:
    """Poses by time.

    Attributes:
        times: (M,) seconds, rising, M at least 2.
        poses: (M, 4, 4), to the axes of the world, metres.
        file: where they are from.
    """

    times: Array
    poses: Array
    file: str

    @property
    def step(self) -> float:
        """The median of the seconds from one moment to the next."""
        return float(np.median(np.diff(self.times)))

    def at(self, times: Array) -> Array:
        """(T, 4, 4) at other times (T,): translations linear in time, rotations at constant speed about one axis.

        NaN further than one usual step from the moments that are known, where these have a hole of more than five or
        begin or end; within that step the last motion goes on.
        """
        later = np.searchsorted(self.times, times).clip(1, len(self.times) - 1)
        before, after = self.times[later - 1], self.times[later]
        share = (times - before) / (after - before)
        found = np.tile(np.eye(4), (len(times), 1, 1))
        first, second = self.poses[later - 1], self.poses[later]
        start = Rotation.from_matrix(first[:, :3, :3])
        turn = start.inv() * Rotation.from_matrix(second[:, :3, :3])
        found[:, :3, :3] = (start * Rotation.from_rotvec(share[:, None] * turn.as_rotvec())).as_matrix()
        found[:, :3, 3] = first[:, :3, 3] + share[:, None] * (second[:, :3, 3] - first[:, :3, 3])
        apart = np.minimum(abs(times - before), abs(times - after))
        inside = (share >= 0) & (share <= 1) & (after - before <= _HOLE * self.step)
        found[~inside & (apart > self.step * (1 + 1e-6))] = np.nan
        return found

    def carried(self, mount: Array) -> Trajectory:
        """That of a camera whose pose (4, 4) in the axes of what carries it is `mount`."""
        return Trajectory(times=self.times, poses=self.poses @ mount, file=self.file)


def timed(times: Array, poses: Array, file: str) -> Trajectory:
    """A trajectory of poses (M, 4, 4); of equal times the first is kept.

    Raises:
        ValueError: naming the file, where there are fewer than two, times fall, or a pose is none.
    """
    if not (np.isfinite(times).all() and np.isfinite(poses).all()):
        lost = ~np.isfinite(times) | ~np.isfinite(poses).all((1, 2))
        raise ValueError(f"row {int(lost.argmax()) + 1} of {file} has numbers that are not finite")
    steps = np.diff(times)
    if (steps < 0).any():
        raise ValueError(
            f"the times of {file} fall from row {int((steps < 0).argmax()) + 1} to the next; sort its rows by time"
        )
    keep = np.concatenate([[True], steps > 0]) if len(times) else np.zeros(0, bool)
    if keep.sum() < 2:
        raise ValueError(f"{file} has {int(keep.sum())} poses, and at least 2 at different times are needed")
    return Trajectory(times=times[keep], poses=check_poses(poses, file)[keep], file=file)


def poses_of(positions: Array, quaternions: Array, file: str) -> Array:
    """(M, 4, 4) from positions (M, 3) and quaternions (M, 4) in the order x, y, z, w.

    Raises:
        ValueError: naming the file and the row, where a number is not finite or the norm of a quaternion is not 1.
    """
    values = np.concatenate([positions, quaternions], 1)
    if (lost := ~np.isfinite(values).all(1)).any():
        raise ValueError(f"row {int(lost.argmax()) + 1} of {file} has numbers that are not finite")
    norms = np.linalg.norm(quaternions, axis=1)
    if (wrong := abs(norms - 1) > _SLACK).any():
        row = int(wrong.argmax())
        raise ValueError(
            f"the quaternion in row {row + 1} of {file} has the norm {norms[row]:.3g} instead of 1; give unit "
            "quaternions, in the order that the format has"
        )
    poses = np.tile(np.eye(4), (len(positions), 1, 1))
    if len(poses):
        poses[:, :3, :3] = Rotation.from_quat(quaternions).as_matrix()
    poses[:, :3, 3] = positions
    return poses
