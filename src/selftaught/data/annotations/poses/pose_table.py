"""Tables of poses by time, CSV with a line of names: positions and quaternions, or those of a GPS and inertial unit."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from selftaught.data.annotations.poses.gps import LOOKING_FORWARD, gps_poses
from selftaught.data.annotations.poses.trajectory import Trajectory, poses_of, timed

_ALSO: Mapping[str, tuple[str, ...]] = {
    "time": ("timestamp", "t", "seconds"),
    "x": ("tx", "px", "p_x", "pos_x", "position_x"),
    "y": ("ty", "py", "p_y", "pos_y", "position_y"),
    "z": ("tz", "pz", "p_z", "pos_z", "position_z"),
    "qx": ("q_x", "quat_x", "orientation_x"),
    "qy": ("q_y", "quat_y", "orientation_y"),
    "qz": ("q_z", "quat_z", "orientation_z"),
    "qw": ("q_w", "quat_w", "orientation_w"),
    "lat": ("latitude",),
    "lon": ("lng", "long", "longitude"),
    "alt": ("altitude", "height"),
    "roll": (),
    "pitch": (),
    "yaw": (),
}
"""Column -> its other names."""
_NAMES = {other: name for name, others in _ALSO.items() for other in (name, *others)}
_UNIT = re.compile(r"\s*[\[(]\s*(\w*)\s*[\])]$|_(?P<plain>ns|us|ms|s|m|deg|rad)$")
_FACTORS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "deg": np.pi / 180, "degrees": np.pi / 180}
_POSITIONS, _QUATERNIONS = ("x", "y", "z"), ("qx", "qy", "qz", "qw")
_PLACES, _ANGLES = ("lat", "lon", "alt"), ("roll", "pitch", "yaw")

Array = NDArray[np.float64]


def read_table(text: str, file: str) -> Trajectory:
    """Poses of a camera (right, down, forward) in the world, by seconds from the first frame of its video.

    The columns, in any order and beside others, are time, x, y, z, qx, qy, qz, qw; or time, lat, lon, alt, roll, pitch,
    yaw of a vehicle whose camera looks forward, as of `gps_poses`. A unit may follow: time_ns, yaw_deg, `x [m]`.

    Raises:
        ValueError: of one sentence that names the file.
    """
    try:
        sample = text[:4096]
        dialect = "," if sample.count(",") >= sample.count(";") else ";"
        lines = [row for row in csv.reader(io.StringIO(text), delimiter=dialect) if any(cell.strip() for cell in row)]
    except csv.Error as broken:
        raise ValueError(f"{file} is no CSV: {broken}") from None
    columns = _columns(lines[0] if lines else [])
    for wanted in ((*_POSITIONS, *_QUATERNIONS), (*_PLACES, *_ANGLES)):
        if {"time", *wanted} <= columns.keys():
            values = _values(lines[1:], file, {name: columns[name] for name in ("time", *wanted)})
            first, second = values[:, 1:4], values[:, 4:]
            if wanted[0] == "x":
                return timed(values[:, 0], poses_of(first, second, file), file)
            return timed(values[:, 0], gps_poses(first, second, file), file).carried(LOOKING_FORWARD)
    raise ValueError(
        f"{file} must have the columns time, x, y, z, qx, qy, qz, qw, or time, lat, lon, alt, roll, pitch, yaw in its "
        f"first line, got {', '.join(columns) or 'none of them'}"
    )


def _columns(header: Sequence[str]) -> dict[str, tuple[int, float]]:
    """Column -> its place and the factor to its unit, for the names that are known."""
    found: dict[str, tuple[int, float]] = {}
    for place, cell in enumerate(header):
        name = cell.strip().lstrip("#").strip().lower()
        unit = _UNIT.search(name)
        if name not in _NAMES and unit:
            name = name[: unit.start()]
        if name in _NAMES:
            known = _NAMES[name]
            factor = _FACTORS.get(unit[1] or unit["plain"] or "", 1.0) if unit and known not in _PLACES else 1.0
            found.setdefault(known, (place, factor))
    return found


def _values(rows: Sequence[Sequence[str]], file: str, columns: Mapping[str, tuple[int, float]]) -> Array:
    """(M, C) the numbers of some columns; those of an empty cell are NaN."""
    out = np.full((len(rows), len(columns)), np.nan)
    for number, row in enumerate(rows):
        for place, (name, (column, factor)) in enumerate(columns.items()):
            cell = row[column].strip() if column < len(row) else ""
            try:
                out[number, place] = factor * float(cell or "nan")
            except ValueError:
                raise ValueError(f"{name} in row {number + 1} of {file} is no number: {cell[:40]!r}") from None
    return out
