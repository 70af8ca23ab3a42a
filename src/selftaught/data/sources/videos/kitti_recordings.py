"""KITTI's raw recordings: frames in `image_02/data`, poses in `oxts/data`, and the calibration of their day."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from selftaught.data.annotations.poses.gps import gps_poses
from selftaught.data.annotations.poses.kitti_raw import read_intrinsics, read_mount, read_oxts, read_times
from selftaught.data.annotations.poses.trajectory import timed
from selftaught.data.files.file_tree import FileTree
from selftaught.data.files.frame_folders import FrameFolder
from selftaught.data.sources.videos.recordings import needed_text

_FRAMES = re.compile(r"(?:(?P<root>.*)/)?image_(?P<number>\d\d)/data$")
_CALIBRATION = ("calib_imu_to_velo.txt", "calib_velo_to_cam.txt", "calib_cam_to_cam.txt")

Matrix = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class KittiRecording:
    """The frames of one camera; `root` is the folder of the drive, with its "/"."""

    frames: FrameFolder
    root: str
    number: int

    def poses(self, tree: FileTree) -> Matrix:
        """(count, 4, 4) of the camera, NaN of frames whose pose is not known; a ValueError says what lacks.

        A synchronised drive has a file of poses for each frame, of the same name; in others both have times.
        """
        folder = f"{self.root}oxts/data/"
        begin, end = (bisect_left(tree.keys, name) for name in (folder, f"{self.root}oxts/data0"))
        files = [key for key in tree.keys[begin:end] if key.endswith(".txt")]
        rows = np.array([read_oxts(needed_text(tree, file, "poses are"), file) for file in files]).reshape(-1, 6)
        poses = gps_poses(rows[:, :3], rows[:, 3:], f"{self.root}oxts") @ self._mount(tree)
        out = np.full((self.frames.count, 4, 4), np.nan)
        numbers = sorted(self.frames.frames)
        own = {PurePosixPath(file).stem: place for place, file in enumerate(files)}
        stems = [PurePosixPath(self.frames.frames[number]).stem for number in numbers]
        if len(files) == len(numbers) and all(stem in own for stem in stems):
            out[numbers] = poses[[own[stem] for stem in stems]]
            return out
        lists = [f"{self.root}{name}/timestamps.txt" for name in (f"image_{self.number:02d}", "oxts")]
        if not all(file in tree for file in lists):
            raise ValueError(
                f"{folder} has {len(files)} poses, but {self.frames.folder} has {len(numbers)} frames; give one for "
                f"each frame, or the times of both ({lists[0]} and {lists[1]})"
            )
        moments, known = (read_times(needed_text(tree, file, "times are"), file) for file in lists)
        for file, times, count in zip(lists, (moments, known), (len(numbers), len(files)), strict=True):
            if len(times) != count:
                raise ValueError(f"{file} has {len(times)} times, but there are {count} files; give one line for each")
        out[numbers] = timed(known, poses, f"{self.root}oxts").at(moments)
        if np.isnan(out[numbers]).all():
            raise ValueError(f"the times of {lists[0]} and {lists[1]} do not overlap; give poses of the same drive")
        return out

    def intrinsics(self, tree: FileTree) -> Matrix:
        """(3, 3) of the rectified camera."""
        file = self._calibration(tree, _CALIBRATION[2])
        return read_intrinsics(needed_text(tree, file, "the calibration is"), file, self.number)

    def _mount(self, tree: FileTree) -> Matrix:
        files = [self._calibration(tree, name) for name in _CALIBRATION]
        return read_mount({file: needed_text(tree, file, "the calibration is") for file in files}, self.number)

    def _calibration(self, tree: FileTree, name: str) -> str:
        """The file of this name in the folder of the drive, or in that of its day above it."""
        parents = [
            self.root,
            *(f"{parent}/" if str(parent) != "." else "" for parent in PurePosixPath(self.root).parents),
        ]
        found = next((f"{parent}{name}" for parent in parents if f"{parent}{name}" in tree), "")
        if not found:
            raise ValueError(
                f"the calibration is needed, but there is no {name} in {self.root or 'the folder'} or above it; give "
                f"the three files {', '.join(_CALIBRATION)} of the recording's day"
            )
        return found


def recording_of(tree: FileTree, folder: FrameFolder) -> KittiRecording | None:
    """The recording whose frames a folder holds; None where it is of another kind."""
    found = _FRAMES.fullmatch(folder.folder)
    if found is None:
        return None
    root = f"{found['root']}/" if found["root"] else ""
    first = PurePosixPath(folder.frames[min(folder.frames)]).stem
    is_raw = any(f"{root}oxts/{name}" in tree for name in ("timestamps.txt", "dataformat.txt", f"data/{first}.txt"))
    return KittiRecording(frames=folder, root=root, number=int(found["number"])) if is_raw else None
