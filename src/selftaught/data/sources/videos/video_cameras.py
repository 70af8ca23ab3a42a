"""Poses and intrinsics that come with video files.

For `walk.mp4` the poses of the camera, in metres, from its axes (right, down, forward) to those of the world, are in
one of

- `walk.csv` or `walk_poses.csv`: by seconds from the first frame; see `pose_table`
- `walk_poses.txt`: a line for each frame with 12 numbers, as of KITTI odometry

or in a file of that name in a folder `poses` beside the videos or beside their folder, where the end `_poses` may be
left out. Intrinsics are a matrix of 3 x 3 numbers in `walk_intrinsics.txt`, or in `intrinsics.txt` for all videos of
the folder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from selftaught.core.files import digest
from selftaught.data.annotations.poses.kitti_poses import read_poses
from selftaught.data.annotations.poses.pose_matrices import check_intrinsics, check_poses, read_matrix
from selftaught.data.annotations.poses.pose_table import read_table
from selftaught.data.decode.encoded_video import EncodedVideo
from selftaught.data.decode.video import frame_times, read_header
from selftaught.data.files.file_tree import FileTree
from selftaught.data.sources.base import GivenMaps
from selftaught.data.sources.videos.recordings import needed_text

KINDS = frozenset({"pose", "intrinsics"})
"""What video files may come with."""

Matrix = NDArray[np.float64]


class VideoCameras:
    """What is known of the cameras of the videos in a tree; `video` gives what is decoded for a key."""

    def __init__(self, tree: FileTree, needs: frozenset[str], video: Callable[[str], str | EncodedVideo]) -> None:
        self.kinds = sorted(KINDS & needs)
        self._tree, self._video = tree, video
        self._path = lru_cache(maxsize=256)(self._read_path)

    def usable(self, keys: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
        """The videos that have what is needed, and why each other one does not serve.

        Raises:
            ValueError: the first reason, where none of them serves.
        """
        skipped = [(key, why) for key in keys if (why := self._lack(key))]
        without = dict(skipped)
        kept = [key for key in keys if key not in without]
        if not kept:
            where = self._tree.where
            which = f"in {where}" if len(skipped) == 1 else f"none of the {len(skipped)} videos of {where} can serve"
            raise ValueError(f"{skipped[0][1]} ({which})")
        return kept, skipped

    def maps(self, keys: Sequence[str]) -> dict[str, GivenMaps]:
        """What is needed of these videos, as of `Source.maps`."""

        def size(i: int) -> tuple[int, int]:
            header = read_header(self._video(keys[i]))
            return header.height, header.width

        def pose(i: int, second: float) -> NDArray[np.float32]:
            return self._at(keys[i], second).astype(np.float32)

        def intrinsics(i: int, _second: float) -> NDArray[np.float32]:
            return self._intrinsics(keys[i]).astype(np.float32)

        readers = {"pose": (self._pose_file, pose), "intrinsics": (self._intrinsics_file, intrinsics)}
        found = {}
        for kind in self.kinds:
            file_of, read = readers[kind]
            files = sorted({file_of(key) for key in keys})
            known = digest([kind, *keys, self._tree.fingerprint(files)])
            found[kind] = GivenMaps(fingerprint=known, read=read, size=size)
        return found

    def _lack(self, key: str) -> str:
        """Why a video cannot serve; "" if it can."""
        try:
            if "pose" in self.kinds:
                self._path(key)
            if "intrinsics" in self.kinds:
                self._intrinsics(key)
        except (OSError, ValueError) as wrong:
            return str(wrong)
        return ""

    def _at(self, key: str, second: float) -> Matrix:
        """(4, 4) of the frame at this second by the container; a ValueError where it is not known."""
        found: Matrix = self._path(key)(second)
        if np.isnan(found).any():
            raise ValueError(f"{self._pose_file(key)} has no pose at {second:.3f} s, where {key} has a frame")
        return found

    def _read_path(self, key: str) -> Callable[[float], Matrix]:
        """The pose (4, 4) at a second by the container, NaN where it is not known; a ValueError says what is wrong."""
        file = self._pose_file(key)
        text = needed_text(self._tree, file, "poses are")
        times = frame_times(self._video(key))
        if file.endswith(".csv"):
            trajectory = read_table(text, file)
            length = float(times[-1] - times[0])
            if trajectory.times[0] > length or trajectory.times[-1] < 0:
                raise ValueError(
                    f"{file} covers {trajectory.times[0]:.3f} to {trajectory.times[-1]:.3f} s, but {key} lasts from 0 "
                    f"to {length:.3f} s; give seconds from its first frame"
                )
            return lambda second: np.asarray(trajectory.at(np.array([second - times[0]]))[0])
        poses = check_poses(read_poses(text, file), file)
        if len(poses) != len(times):
            raise ValueError(
                f"{file} has {len(poses)} poses, but {key} has {len(times)} frames; give one line for each frame"
            )
        return lambda second: np.asarray(poses[abs(times - second).argmin()])

    def _pose_file(self, key: str) -> str:
        path = PurePosixPath(key)
        names = [f"{path.stem}_poses.csv", f"{path.stem}_poses.txt", f"{path.stem}.csv"]
        inside = [*names, f"{path.stem}.txt"]
        beside = [path.parent / "poses", path.parent.parent / "poses"]
        places = [path.parent / name for name in names] + [folder / name for folder in beside for name in inside]
        file = next((str(place) for place in places if str(place) in self._tree), "")
        if not file:
            raise ValueError(
                f"poses are needed, but {key} has none; put {path.stem}.csv (time, x, y, z, qx, qy, qz, qw) or "
                f"{path.stem}_poses.txt (12 numbers for each frame) beside it"
            )
        return file

    def _intrinsics_file(self, key: str) -> str:
        path = PurePosixPath(key)
        names = (f"{path.stem}_intrinsics.txt", "intrinsics.txt", "camera-intrinsics.txt")
        file = next((str(place) for name in names if str(place := path.parent / name) in self._tree), "")
        if not file:
            raise ValueError(
                f"intrinsics of the camera are needed, but {key} has none; put an intrinsics.txt with 3 x 3 numbers "
                "beside it"
            )
        return file

    def _intrinsics(self, key: str) -> Matrix:
        file = self._intrinsics_file(key)
        return check_intrinsics(read_matrix(needed_text(self._tree, file, "intrinsics are"), file, 3), file)
