"""Poses from latitude, longitude, altitude and the three angles of a GPS and inertial unit, as those of KITTI."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

EARTH_RADIUS = 6378137.0
"""Metres."""
LOOKING_FORWARD = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
"""Pose of a camera (right, down, forward) that looks ahead, in the axes of its vehicle (forward, left, up)."""

Array = NDArray[np.float64]


def gps_poses(places: Array, angles: Array, file: str) -> Array:
    """Poses of the vehicle (forward, left, up) in a world (east, north, up) that begins at its first place.

    East and north are those of the Mercator projection, in metres at the first latitude.

    Args:
        places: (M, 3) latitude and longitude in degrees, altitude in metres.
        angles: (M, 3) roll, pitch and yaw in radians: about the axis forward, then left, then up, in that order. At
            yaw 0 the vehicle faces east, and yaw grows anticlockwise.
        file: for the errors.

    Returns:
        (M, 4, 4).

    Raises:
        ValueError: naming the file and row, where a number is not finite or not on the earth.
    """
    if (lost := ~np.isfinite(np.concatenate([places, angles], 1)).all(1)).any():
        raise ValueError(f"row {int(lost.argmax()) + 1} of {file} has numbers that are not finite")
    if (outside := (abs(places[:, 0]) >= 90) | (abs(places[:, 1]) > 360)).any():
        row = int(outside.argmax())
        raise ValueError(
            f"row {row + 1} of {file} has the latitude {places[row, 0]:g} and longitude {places[row, 1]:g}; give "
            "degrees, the first between -90 and 90"
        )
    poses = np.tile(np.eye(4), (len(places), 1, 1))
    if not len(poses):
        return poses
    latitude, longitude = np.radians(places[:, 0]), np.radians(places[:, 1])
    scale = EARTH_RADIUS * np.cos(latitude[0])
    east = scale * longitude
    north = scale * np.log(np.tan(np.pi / 4 + latitude / 2))
    position = np.stack([east, north, places[:, 2]], 1)
    poses[:, :3, 3] = position - position[0]
    poses[:, :3, :3] = Rotation.from_euler("xyz", angles).as_matrix()
    return poses
