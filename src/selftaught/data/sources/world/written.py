"""Scenes that `selftaught world` wrote, read as videos with everything that is given with their frames."""

from __future__ import annotations

import json
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from selftaught.core.files import digest
from selftaught.data.annotations.poses.kitti_poses import read_intrinsics, read_poses
from selftaught.data.files.file_tree import FolderTree
from selftaught.data.files.file_walk import FoundFiles
from selftaught.data.files.frame_folders import FrameFolder
from selftaught.data.files.splits import choose_split
from selftaught.data.sources.base import Entry, GivenMaps, Source
from selftaught.data.sources.videos.frame_video import FrameVideo
from selftaught.data.sources.videos.sound_beside import track_in
from selftaught.data.sources.world.files import (
    CALIBRATION,
    FRAMES,
    INDEX,
    MAPS,
    POSES,
    decode,
    frame_file,
    scene_name,
    sound_file,
)


@final
class WrittenWorld(Source):
    """One split of the scenes in a folder."""

    def __init__(self, tree: FolderTree, numbers: list[int], known: dict[str, Any]) -> None:
        self.name = tree.where
        self.entries = [Entry(f"{FRAMES}/{scene_name(number)}") for number in numbers]
        self.classes = None
        self.provides = frozenset({"video", "image", *MAPS, "pose", "intrinsics"})
        self._tree, self._numbers = tree, numbers
        self._fps, self._count, self._side = float(known["fps"]), int(known["frames"]), int(known["side"])
        files = [frame_file(FRAMES, number, frame) for number in numbers for frame in range(self._count)]
        self._has_sound = all(sound_file(number) in tree for number in numbers)
        if self._has_sound:
            self.provides |= {"audio"}
            files += [sound_file(number) for number in numbers]
        self.fingerprint = digest([tree.fingerprint(files), f"{self._fps:g}"])
        self.maps = {
            kind: GivenMaps(
                fingerprint=digest([self.fingerprint, kind]),
                read=partial(self._given, kind),
                size=lambda _: (self._side, self._side),
            )
            for kind in (*MAPS, "pose", "intrinsics")
        }
        self._poses = lru_cache(maxsize=64)(self._read_poses)

    def read(self, i: int) -> FrameVideo:
        """The frames of scene `i`."""
        number = self._numbers[i]
        frames = {frame: frame_file(FRAMES, number, frame) for frame in range(self._count)}
        track = track_in(self._tree, sound_file(number)) if self._has_sound else None
        video = FrameVideo(self._tree, FrameFolder(self.entries[i].key, frames), fps=self._fps, track=track)
        video.is_drawn = True
        return video

    def _given(self, kind: str, i: int, second: float) -> NDArray[Any]:
        frame = round(second * self._fps)
        if kind == "pose":
            return np.asarray(self._poses(self._numbers[i])[frame], np.float32)
        if kind == "intrinsics":
            file = f"{CALIBRATION}/{scene_name(self._numbers[i])}.txt"
            return read_intrinsics(self._text(file), file).astype(np.float32)
        file = frame_file(kind, self._numbers[i], frame)
        return decode(kind, self._tree.read(file), file)

    def _read_poses(self, number: int) -> NDArray[np.float64]:
        file = f"{POSES}/{scene_name(number)}.txt"
        poses = read_poses(self._text(file), file)
        if len(poses) != self._count:
            raise ValueError(f"{file} has {len(poses)} poses, but its video {self._count} frames")
        return poses

    def _text(self, file: str) -> str:
        return self._tree.read(file).decode("utf-8", "replace")


def open_written_world(path: Path, files: FoundFiles, *, split: str, seed: int, held_out: float) -> WrittenWorld:
    """One split of the scenes in a folder, a share of which is held out.

    Raises:
        ValueError: where the folder is not whole.
    """
    tree = FolderTree(path, files)
    try:
        known = json.loads((path / INDEX).read_text(encoding="utf-8"))
        scenes, _ = int(known["scenes"]), (float(known["fps"]), int(known["frames"]), int(known["side"]))
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError(f"{path / INDEX} is damaged; write the scenes again with selftaught world") from None
    numbers = [n for n in range(scenes) if frame_file(FRAMES, n, 0) in tree and f"{POSES}/{scene_name(n)}.txt" in tree]
    if len(numbers) < 2:
        raise ValueError(f"{path} holds {len(numbers)} whole scenes; go on with selftaught world --out {path}")
    chosen = choose_split([scene_name(n) for n in numbers], None, split=split, seed=seed, held_out=held_out)
    source = WrittenWorld(tree, [numbers[i] for i in chosen], known)
    if len(numbers) < scenes and split == "train":
        source.notes = [f"{scenes - len(numbers)} of {scenes} scenes of {path} are not written yet and left out"]
    return source
