"""Folders of frames whose times a list gives, as those of TUM RGB-D and EuRoC, with poses by time.

- TUM: `rgb.txt` lists the images of `rgb`, `depth.txt` those of `depth`, `groundtruth.txt` is the path of the camera
- EuRoC: `mav0/cam0/data.csv` lists the images of `mav0/cam0/data`, `mav0/cam0/sensor.yaml` is its calibration, and
  `mav0/state_groundtruth_estimate0/data.csv` the path of the body
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from selftaught.data.annotations.poses import euroc, tum
from selftaught.data.annotations.poses.trajectory import Trajectory
from selftaught.data.files.file_tree import FileTree
from selftaught.data.files.frame_folders import FrameFolder

_PATH = "state_groundtruth_estimate0/data.csv"

Matrix = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Recording:
    """The frames of one camera.

    Attributes:
        frames: numbered by their times, so that a frame that was dropped has a number of its own.
        times: seconds of each of these numbers.
        root: folder with the list of the images.
        kind: of data set.
        depths: depth map of a number; a frame without one near in time has none.
    """

    frames: FrameFolder
    times: Mapping[int, float]
    root: str
    kind: Literal["tum", "euroc"]
    depths: Mapping[int, str]

    def poses(self, tree: FileTree) -> Matrix:
        """(count, 4, 4) of the camera, NaN of frames whose pose is not known; a ValueError says what lacks."""
        out = np.full((self.frames.count, 4, 4), np.nan)
        numbers = sorted(self.times)
        known = self._trajectory(tree)
        times = np.array([self.times[number] for number in numbers])
        out[numbers] = known.at(times)
        if np.isnan(out[numbers]).all():
            raise ValueError(
                f"{known.file} covers {known.times[0]:.3f} to {known.times[-1]:.3f} s, but the frames of "
                f"{self.frames.folder} are from {times[0]:.3f} to {times[-1]:.3f} s; give poses by the clock of the "
                "frames"
            )
        return out

    def intrinsics(self, tree: FileTree) -> Matrix | None:
        """(3, 3) of the camera, where the data set states them."""
        if self.kind == "tum":
            return None
        file = f"{self.root}sensor.yaml"
        return euroc.read_intrinsics(needed_text(tree, file, "the calibration of the camera is"), file)

    def _trajectory(self, tree: FileTree) -> Trajectory:
        if self.kind == "tum":
            file = f"{self.root}groundtruth.txt"
            return tum.read_trajectory(needed_text(tree, file, "poses are"), file)
        file = f"{_above(self.root)}{_PATH}"
        body = euroc.read_trajectory(needed_text(tree, file, "poses of its body are"), file)
        sensor = f"{self.root}sensor.yaml"
        return body.carried(euroc.read_mount(needed_text(tree, sensor, "the calibration of the camera is"), sensor))


def find_recordings(tree: FileTree, pictures: Sequence[str]) -> tuple[list[Recording], frozenset[str]]:
    """The recordings of a folder or zip, and all images that belong to one, depth maps among them."""
    images = frozenset(pictures)
    found: list[Recording] = []
    used: set[str] = set()
    for key in tree.keys:
        root, _, name = key.rpartition("/")
        root = f"{root}/" if root else ""
        if name == "rgb.txt":
            listed = _listed(tum.read_list(tree.text(key) or ""), root, images)
            depths = _listed(tum.read_list(tree.text(f"{root}depth.txt") or ""), root, images)
            used |= {path for _, path in depths}
            kind: Literal["tum", "euroc"] = "tum"
        elif name == "data.csv" and f"{root}sensor.yaml" in tree:
            listed, depths = _listed(euroc.read_list(tree.text(key) or ""), f"{root}data/", images), []
            kind = "euroc"
        else:
            continue
        if len(listed) > 1:
            found.append(_recording(listed, depths, root, kind))
            used |= {path for _, path in listed}
    return found, frozenset(used)


def _listed(rows: list[tuple[float, str]] | None, root: str, images: frozenset[str]) -> list[tuple[float, str]]:
    """Those of the listed images that are there, with their keys."""
    return [(second, path) for second, name in rows or [] if (path := f"{root}{name}") in images]


def _recording(
    listed: list[tuple[float, str]], depths: list[tuple[float, str]], root: str, kind: Literal["tum", "euroc"]
) -> Recording:
    times = np.array([second for second, _ in listed])
    steps = np.diff(times)
    step = float(np.median(steps[steps > 0])) if (steps > 0).any() else 1.0
    numbers = np.concatenate([[0], np.maximum(1, np.round(steps / step)).cumsum()]).astype(int).tolist()
    folder = str(PurePosixPath(listed[0][1]).parent)
    frames = FrameFolder(folder, {n: path for n, (_, path) in zip(numbers, listed, strict=True)}, fps=1 / step)
    recording = Recording(
        frames=frames, times=dict(zip(numbers, times.tolist(), strict=True)), root=root, kind=kind, depths={}
    )
    if not depths:
        return recording
    moments = np.array([second for second, _ in depths])
    nearest = np.searchsorted((moments[1:] + moments[:-1]) / 2, times)
    near = abs(moments[nearest] - times) <= tum.NEAREST
    pairs = {n: depths[place][1] for n, place, is_near in zip(numbers, nearest, near, strict=True) if is_near}
    return replace(recording, depths=pairs)


def _above(root: str) -> str:
    parent = str(PurePosixPath(root).parent)
    return "" if parent == "." else f"{parent}/"


def needed_text(tree: FileTree, file: str, what: str) -> str:
    """Content of a text file; a ValueError where it is not there, saying `what` needed."""
    try:
        text = tree.text(file)
    except (OSError, ValueError) as broken:
        raise ValueError(f"{file} cannot be read: {broken}") from None
    if text is None:
        raise ValueError(f"{what} needed, but there is no {file}")
    return text
