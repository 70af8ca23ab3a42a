"""Poses, intrinsics and depth maps that come with folders of frames: of KITTI odometry, 7-Scenes and the like.

Poses of a folder of frames, from the axes of the camera (right, down, forward) to those of the world, in metres:

- `frame-000000.pose.txt` beside each `frame-000000.color.png`, or `pose/000000.txt` beside `color/000000.jpg`: matrices
  of 4 x 4 numbers, as of 7-Scenes
- `poses.txt` in the folder or beside it, or `poses/00.txt` for `sequences/00/image_2`: a line of 12 numbers for each
  frame, as of KITTI odometry

- `oxts/data/0000000000.txt` beside `image_02/data/0000000000.png`, as of KITTI's raw recordings
- `poses.csv` in the folder or beside it: poses by seconds from the first frame
- lists of frames with times, as of TUM and EuRoC: see `recordings`

Intrinsics are `calib.txt` of KITTI, whose P2 is that of `image_2`, `calib_cam_to_cam.txt` of its raw recordings, or a
matrix of 3 x 3 numbers in `intrinsics.txt`. A frame whose pose is not known is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selftaught.core.files import digest
from selftaught.data.annotations.depth_folder import decode_depth, find_depths
from selftaught.data.annotations.poses.kitti_poses import read_intrinsics, read_poses
from selftaught.data.annotations.poses.pose_matrices import check_intrinsics, check_poses, read_matrix
from selftaught.data.annotations.poses.pose_table import read_table
from selftaught.data.annotations.poses.tum import DEPTH_UNITS
from selftaught.data.decode.image import image_size
from selftaught.data.files.file_kinds import is_picture
from selftaught.data.files.file_tree import PARTLY_USED, FileTree
from selftaught.data.files.frame_folders import FrameFolder
from selftaught.data.sources.base import GivenMaps
from selftaught.data.sources.videos.kitti_recordings import recording_of
from selftaught.data.sources.videos.recordings import Recording

KINDS = frozenset({"pose", "intrinsics", "depth"})
"""What folders of frames may come with."""
_ENDS = re.compile(r"[._-](color|colour|rgb)$", re.IGNORECASE)
_CAMERA = re.compile(r"image_(\d+)$")
MILLIMETRES = 1000
"""In a metre."""

Matrix = NDArray[np.float64]


class FrameCameras:
    """What is known of the camera of each folder of frames in a tree; nothing is read before it is asked for."""

    def __init__(
        self, tree: FileTree, needs: frozenset[str], recordings: Sequence[Recording] = (), *, fps: float = 25
    ) -> None:
        self.kinds = sorted(KINDS & needs)
        self._tree, self._fps = tree, fps
        self._recordings = {one.frames.folder: one for one in recordings}
        pictures = [key for key in tree.keys if is_picture(key)] if "depth" in needs else []
        self._depths: Mapping[str, str] = find_depths(pictures).pairs

    def usable(self, folders: Mapping[str, FrameFolder]) -> tuple[dict[str, FrameFolder], list[tuple[str, str]]]:
        """The folders that have what is needed, and why each other one, or a part of its frames, does not serve.

        Raises:
            ValueError: the first reason, where none of them serves.
        """
        skipped = [(key, why) for key, folder in folders.items() if (why := self._lack(folder))]
        without = dict(skipped)
        kept = {key: folder for key, folder in folders.items() if key not in without}
        if not kept:
            where = self._tree.where
            which = f"in {where}" if len(skipped) == 1 else f"none of the {len(skipped)} videos of {where} can serve"
            raise ValueError(f"{skipped[0][1]} ({which})")
        for key, folder in kept.items():
            kept[key] = whole = self._known(folder)
            if lost := len(folder.frames) - len(whole.frames):
                what = " or ".join(
                    {"pose": "pose", "depth": "depth map"}[kind] for kind in self.kinds if kind != "intrinsics"
                )
                skipped.append((key, f"{lost} of its {len(folder.frames)} frames have no {what}{PARTLY_USED}"))
        return kept, skipped

    def maps(self, folders: Sequence[FrameFolder]) -> dict[str, GivenMaps]:
        """What is needed of these videos, as of `Source.maps`."""
        return {kind: self._given(kind, folders) for kind in self.kinds}

    def _given(self, kind: str, folders: Sequence[FrameFolder]) -> GivenMaps:
        rates = [folder.fps or self._fps for folder in folders]
        rate = ", ".join(f"{fps:g}" for fps in sorted(set(rates)))
        first = [folder.frames[min(folder.frames)] for folder in folders]

        def size(i: int) -> tuple[int, int]:
            return image_size(self._tree.read(first[i]))

        if kind == "depth":
            files = sorted({file for folder in folders for file in self._depth_files(folder)})
            read: Callable[[int, float], NDArray[Any]] = lambda i, second: self._depth(  # noqa: E731
                folders[i], round(second * rates[i]), size(i)
            )
            return GivenMaps(fingerprint=digest([self._tree.fingerprint(files), rate]), read=read, size=size)
        readers = {"pose": self.poses, "intrinsics": self._intrinsics_of_frames}
        values = [readers[kind](folder).astype(np.float32) for folder in folders]
        known = digest([kind, rate, *(one.tobytes().hex() for one in values)])
        return GivenMaps(fingerprint=known, read=partial(_of_frame, values, rates), size=size)

    def _lack(self, folder: FrameFolder) -> str:
        """Why a video cannot serve; "" if it can."""
        try:
            if "pose" in self.kinds:
                self.poses(folder)
            recorded = self._recordings.get(folder.folder)
            if "intrinsics" in self.kinds:
                self.intrinsics(folder)
            if "depth" in self.kinds:
                files = self._depth_files(folder)
                if len(files) < len(folder.frames) and not (recorded and files):
                    return (
                        f"depth maps are needed, but {len(folder.frames) - len(files)} of the {len(folder.frames)} "
                        f"frames of {_named(folder)} have none; put PNG of 16 bits in millimetres with the names of "
                        "the frames into a folder depth beside them"
                    )
        except (OSError, ValueError) as wrong:
            return str(wrong)
        return ""

    def poses(self, folder: FrameFolder) -> Matrix:
        """(count, 4, 4) of the frames by their numbers, 0 where a number has no frame, NaN where its pose is not known.

        Raises:
            ValueError: saying what lacks.
        """
        for timed in (self._recordings.get(folder.folder), recording_of(self._tree, folder)):
            if timed is not None:
                return timed.poses(self._tree)
        each = {number: self._pose_of(key) for number, key in folder.frames.items()}
        out = np.zeros((folder.count, 4, 4))
        numbers = sorted(folder.frames)
        if any(each.values()):
            lost = [folder.frames[number] for number, file in each.items() if not file]
            if lost:
                raise ValueError(
                    f"{len(lost)} of the {len(each)} frames of {_named(folder)} have no pose (such as {lost[0]}); give "
                    "a file of 4 x 4 numbers for each"
                )
            for number in numbers:
                file = each[number]
                out[number] = check_poses(read_matrix(self._text(file), file, 4)[None], file)[0]
            return out
        if file := self._first(_beside(folder.folder, ("poses.csv",))):
            fps = folder.fps or self._fps
            out[numbers] = read_table(self._text(file), file).at(np.array(numbers) / fps)
            if np.isnan(out[numbers]).all():
                raise ValueError(
                    f"{file} has no poses from 0 to {numbers[-1] / fps:.3f} s, at which the frames of {_named(folder)} "
                    f"are at {fps:g} frames a second; give seconds from the first frame, or set --frame-rate"
                )
            return out
        file = self._first(_pose_files(folder.folder))
        if not file:
            raise ValueError(
                f"poses are needed, but the frames of {_named(folder)} have none; put a poses.txt with 12 numbers a "
                "line beside them (KITTI), a matrix frame-000000.pose.txt for each frame (7-Scenes), or a poses.csv of "
                "time, position and quaternion"
            )
        poses = check_poses(read_poses(self._text(file), file), file)
        if len(poses) not in (len(numbers), folder.count):
            raise ValueError(
                f"{file} has {len(poses)} poses, but {_named(folder)} has {len(numbers)} frames; give one line for "
                "each frame"
            )
        out[numbers] = poses[numbers] if len(poses) == folder.count else poses
        return out

    def intrinsics(self, folder: FrameFolder) -> Matrix:
        """(3, 3) of the frames as they are stored; a ValueError says what lacks."""
        for timed in (self._recordings.get(folder.folder), recording_of(self._tree, folder)):
            if timed is not None and (found := timed.intrinsics(self._tree)) is not None:
                return found
        file = self._first(_beside(folder.folder, ("calib.txt", "intrinsics.txt", "camera-intrinsics.txt")))
        if not file:
            raise ValueError(
                f"intrinsics of the camera are needed, but the frames of {_named(folder)} have none; put a calib.txt "
                "(KITTI) or an intrinsics.txt with 3 x 3 numbers beside them"
            )
        if not file.endswith("calib.txt"):
            return check_intrinsics(read_matrix(self._text(file), file, 3), file)
        camera = _CAMERA.search(folder.folder)
        return check_intrinsics(read_intrinsics(self._text(file), file, f"P{int(camera[1]) if camera else 0}"), file)

    def _intrinsics_of_frames(self, folder: FrameFolder) -> Matrix:
        return np.repeat(self.intrinsics(folder)[None], folder.count, 0)

    def _pose_of(self, key: str) -> str:
        """The file of the pose of one frame, or ""."""
        path = PurePosixPath(key)
        stem = _ENDS.sub("", path.stem)
        beside = path.parent.parent
        return self._first(
            str(one)
            for one in (
                path.parent / f"{stem}.pose.txt",
                *(beside / folder / f"{stem}.txt" for folder in ("pose", "poses") if len(path.parts) > 1),
            )
        )

    def _known(self, folder: FrameFolder) -> FrameFolder:
        """The folder without the frames of which what is needed is not known."""
        lost: set[int] = set()
        if "pose" in self.kinds:
            poses = self.poses(folder)
            lost |= {number for number in folder.frames if np.isnan(poses[number]).any()}
        if "depth" in self.kinds:
            lost |= {number for number in folder.frames if not self._depth_of(folder, number)}
        return replace(folder, frames={n: key for n, key in folder.frames.items() if n not in lost}) if lost else folder

    def _depth_files(self, folder: FrameFolder) -> list[str]:
        return [file for number in folder.frames if (file := self._depth_of(folder, number))]

    def _depth_of(self, folder: FrameFolder, number: int) -> str:
        if folder.folder in self._recordings:
            return self._recordings[folder.folder].depths.get(number, "")
        key = folder.frames[number]
        path = PurePosixPath(key)
        return self._depths.get(key) or self._first([str(path.parent / f"{_ENDS.sub('', path.stem)}.depth.png")])

    def _depth(self, folder: FrameFolder, number: int, size: tuple[int, int]) -> NDArray[np.float32]:
        file = self._depth_of(folder, number)
        values = decode_depth(self._tree.read(file), file)
        if values.shape != size:
            raise ValueError(
                f"{file} is {values.shape[1]} x {values.shape[0]} pixels, but its frames {size[1]} x {size[0]}"
            )
        return np.asarray(
            values / np.float32(DEPTH_UNITS if folder.folder in self._recordings else MILLIMETRES), np.float32
        )

    def _first(self, files: Sequence[str] | Iterator[str]) -> str:
        return next((file for file in files if file in self._tree), "")

    def _text(self, file: str) -> str:
        try:
            return self._tree.read(file).decode("utf-8", "replace")
        except (OSError, ValueError) as broken:
            raise ValueError(f"{file} cannot be read: {broken}") from None


def _of_frame(
    values: Sequence[NDArray[np.float32]], rates: Sequence[float], i: int, second: float
) -> NDArray[np.float32]:
    return np.asarray(values[i][round(second * rates[i])])


def _named(folder: FrameFolder) -> str:
    return folder.folder or "the folder"


def _beside(folder: str, names: Sequence[str]) -> list[str]:
    """Files of these names in a folder and in the one above it."""
    path = PurePosixPath(folder)
    places = (path, path.parent) if folder else (path,)
    return [str(place / name) for place in places for name in names]


def _pose_files(folder: str) -> list[str]:
    """Where the file with all poses of a folder of frames may be, nearest first."""
    parts = PurePosixPath(folder).parts
    above = [
        str(PurePosixPath(*parts[:depth], "poses", f"{name}.txt"))
        for depth in range(len(parts) - 1, -1, -1)
        for name in reversed(parts[depth:])
    ]
    return [*_beside(folder, ("poses.txt",)), *above]
