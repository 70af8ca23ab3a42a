"""Folders of numbered images as videos, where a task needs clips: `run/clip_1/0001.jpg`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path, PurePath
from typing import final

import cv2
import numpy as np
from numpy.typing import NDArray

from selftaught.core.files import digest
from selftaught.core.names import one_line
from selftaught.data.decode.image import decode_image, image_size
from selftaught.data.files.file_kinds import is_picture
from selftaught.data.files.file_tree import FileTree, FolderTree
from selftaught.data.files.frame_folders import FrameFolder, numbered_folders
from selftaught.data.files.hints import Hints
from selftaught.data.files.left_out import left_out_as, other_kinds
from selftaught.data.files.splits import own_part
from selftaught.data.sources.base import Entry, Source
from selftaught.data.sources.layout import Layout, choose_entries, in_no_part, notes_of, without_maps
from selftaught.data.sources.videos.frame_cameras import FrameCameras
from selftaught.data.sources.videos.frame_video import FrameVideo
from selftaught.data.sources.videos.recordings import find_recordings
from selftaught.data.sources.videos.sound_beside import sounds_beside, track_in, why_unheard
from selftaught.data.sources.videos.video_layout import video_layout

_FEWEST, _SHARE = 6, 0.5
"""Images of a folder that may be a video, and the share of all images that must be in such folders."""
_LOOKED_AT = 8
"""Folders whose images are compared."""
_ALIKE, _SAME, _MORE = 0.5, 0.9, 0.1
"""Least correlation of two neighbouring frames (that of two unrelated photographs is around 0.1); and where it is below
the second, how much it must be above that of distant ones, for faces and digits are alike whatever their order."""


@final
class FrameFolders(Source):
    """One split of the folders of frames in a folder or zip; `read` gives the frames of one."""

    def __init__(
        self,
        tree: FileTree,
        entries: list[Entry],
        layout: Layout,
        folders: dict[str, FrameFolder],
        *,
        fps: float,
        sounds: Mapping[str, str] | None = None,
    ) -> None:
        self.name = tree.where
        self.entries = entries
        self.classes = None if layout.many else layout.classes
        layout.tell_table(self)
        self._sounds = sounds or {}
        self.provides = frozenset({"video", "image"} | ({"label"} if self.classes else set()))
        self.provides |= {"audio"} if sounds else set()
        frames = [key for entry in entries for key in folders[entry.key].frames.values()]
        frames += [self._sounds[entry.key] for entry in entries if sounds]
        timed = [folders[entry.key] for entry in entries if folders[entry.key].fps is not None]
        own = [f"{folder.fps:g} {sorted(folder.frames)}" for folder in timed]
        self.fingerprint = f"{tree.fingerprint(frames)}-{digest([f'{fps:g}', *own]) if own else f'{fps:g}'}"
        self._tree, self._folders, self._fps = tree, folders, fps

    def give(self, cameras: FrameCameras) -> None:
        """Add what is known of the cameras of the videos."""
        self.maps = cameras.maps([self._folders[entry.key] for entry in self.entries])
        self.provides |= self.maps.keys()

    def read(self, i: int) -> FrameVideo:
        """The frames of video `i`, with its sound where there is one."""
        key = self.entries[i].key
        folder = self._folders[key]
        track = track_in(self._tree, self._sounds[key]) if key in self._sounds else None
        return FrameVideo(self._tree, folder, fps=folder.fps or self._fps, track=track)


def open_frame_folders(
    tree: FileTree, *, split: str, needs: frozenset[str], seed: int, held_out: float, hints: Hints
) -> FrameFolders | None:
    """One split of the folders whose images are frames; None where there are none.

    A folder of a class may be numbered like a video. So neighbouring images of some folders are compared, and a note
    says what was taken for videos.

    Args:
        tree: labels and splits are found as those of files are, by the names of the folders.
        split: "train", "held_out" or "test".
        needs: what the task asks for.
        seed: of the share that is held out where the data have no splits.
        held_out: that share.
        hints: what the files do not say, such as the frames a second.

    Raises:
        ValueError: where the images are numbered, but are not alike as frames are.
    """
    every = [key for key in tree.keys if is_picture(key)]
    recordings, recorded = find_recordings(tree, every)
    pictures = [key for key in without_maps(every) if key not in recorded]
    found, others = numbered_folders(pictures)
    found = sorted([*found, *(one.frames for one in recordings)], key=lambda folder: folder.folder)
    pictures += [key for one in recordings for key in one.frames.frames.values()]
    inside = sum(len(folder.frames) for folder in found if len(folder.frames) >= _FEWEST)
    if not inside or inside < _SHARE * len(pictures):
        return None
    _refuse_classes(tree, found)
    folders = {folder.folder or PurePath(tree.where).stem: folder for folder in found}
    cameras = FrameCameras(tree, needs, recordings, fps=hints.frame_rate)
    skipped: list[tuple[str, str]] = []
    if cameras.kinds:  # before the parts are drawn, so that each has some
        folders, skipped = cameras.usable(folders)
    sounds: dict[str, str] = {}
    if "audio" in needs:
        sounds, unheard = _with_sound(tree, folders)
        folders = {key: folder for key, folder in folders.items() if key in sounds}
        skipped = [*skipped, *unheard]
    keys = sorted(folders)
    layout = video_layout(tree, keys, hints)
    entries = choose_entries(keys, layout, split=split, needs=needs, seed=seed, held_out=held_out, where=tree.where)
    source = FrameFolders(tree, entries, layout, folders, fps=hints.frame_rate, sounds=sounds)
    source.give(cameras)
    source.part = own_part(keys, layout.splits, split)
    images = set(pictures)
    heard = set(sounds.values())
    rest, notes = other_kinds((key for key in tree.keys if not is_picture(key) and key not in heard), "images")
    loose = left_out_as("images in no video", others, "an image that is no frame of a numbered folder")
    masks = [key for key in tree.keys if is_picture(key) and key not in images]
    maps = left_out_as("masks", masks, "a mask or depth map of another image")
    none = left_out_as("in no part", in_no_part(keys, layout), "in no part of the data")
    source.left_out = tree.left_out + rest + loose + maps + none
    told = [*_told(found, others, hints.frame_rate), *_sizes(tree, found)]
    source.notes = [one_line(note) for note in (*tree.told(), *told, *notes, *notes_of(keys, layout, needs))]
    source.skipped = [*tree.unusable, *layout.missing, *skipped] if split == "train" else []
    return source


def _with_sound(tree: FileTree, folders: Mapping[str, FrameFolder]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """The files of sound of the folders that have one, and why each other one cannot serve."""
    near = sounds_beside(tree, folders, are_folders=True)
    reasons = {
        key: why_unheard(tree, near[key]) if key in near else f"no file of sound such as {key}.wav beside it"
        for key in sorted(folders)
    }
    found = {key: near[key] for key, why in reasons.items() if why is None}
    unheard = [(key, f"{near[key]}: {why}" if key in near else why) for key, why in reasons.items() if why is not None]
    if not found:
        key, why = unheard[0]
        raise ValueError(
            f"sound is needed, but none of the {len(folders)} folders of frames of {tree.where} has any that can be "
            f"read (the first, {key}: {why}); put a file of sound with its name beside each folder"
        )
    return found, unheard


def one_frame_folder(path: Path, *, fps: float) -> FrameFolders:
    """The video whose frames are the images of a folder, as long as that is; those in folders below are not read.

    Raises:
        ValueError: where the images are not numbered as frames are, or there are none.
    """
    tree = FolderTree(path)
    found, _ = numbered_folders([key for key in tree.keys if is_picture(key) and "/" not in key])
    if not found:
        raise ValueError(f"{path} is a folder without numbered images; give a video, or the folder of its frames")
    name = path.resolve().name
    layout = Layout(labels={}, splits={}, classes=None)
    return FrameFolders(tree, [Entry(key=name)], layout, {name: found[0]}, fps=fps)


def _told(found: Sequence[FrameFolder], others: Sequence[str], fps: float) -> list[str]:
    first = found[0]
    lengths = sorted(len(folder.frames) for folder in found)
    many = "1 folder of numbered images" if len(found) == 1 else f"{len(found)} folders of numbered images"
    rates = sorted({folder.fps for folder in found if folder.fps is not None})
    if not rates:
        rate = f"{fps:g} a second (--frame-rate)"
    elif all(folder.fps is not None for folder in found):
        rate = f"{rates[0]:.3g} to {rates[-1]:.3g} a second by the times of their lists"
    else:
        rate = f"{fps:g} a second (--frame-rate) or as the times of their lists say"
    notes = [
        f"{many} (such as {first.folder or 'the data'}) {'is' if len(found) == 1 else 'are'} read as videos of "
        f"{lengths[0]} to {lengths[-1]} frames, {rate}"
    ]
    if others:
        notes.append(
            f"{len(others)} {'image' if len(others) == 1 else 'images'} in folders that are not numbered as frames "
            f"{'was' if len(others) == 1 else 'were'} left out (such as {others[0]})"
        )
    missing = [folder for folder in found if folder.count > len(folder.frames)]
    if missing:
        count = sum(folder.count - len(folder.frames) for folder in missing)
        many = "1 frame is missing" if count == 1 else f"{count} frames are missing"
        where = f"in {len(missing)} of them (such as {missing[0].folder})"
        notes.append(f"{many} {where}, by the numbers of the others; no clip reaches across the gap")
    return notes


def _refuse_classes(tree: FileTree, found: Sequence[FrameFolder]) -> None:
    """An error where the images of most folders that are looked at are not alike, unless they are called frames."""
    named = [folder for folder in found if "frame" in next(iter(folder.frames.values())).lower()]
    looked = [alike for folder in _some(found) if (alike := _alikeness(tree, folder)) is not None]
    if not looked or len(named) == len(found):
        return
    near, far = (float(value) for value in np.median(looked, axis=0))
    if near >= _SAME or (near >= _ALIKE and near >= far + _MORE):
        return
    raise ValueError(
        f"videos are needed, but {tree.where} holds images, and though they are numbered as frames are (such as in "
        f"{found[0].folder or 'it'}), neighbouring ones are not as alike as frames (correlation {near:.2f}, of distant "
        f"ones {far:.2f}); give a folder of videos, or name the files frame_0001.jpg and so on if they are frames"
    )


def _some(found: Sequence[FrameFolder]) -> list[FrameFolder]:
    long = [folder for folder in found if len(folder.frames) > 1]
    return [long[k * len(long) // min(_LOOKED_AT, len(long))] for k in range(min(_LOOKED_AT, len(long)))]


def _alikeness(tree: FileTree, folder: FrameFolder) -> tuple[float, float] | None:
    """Mean correlation of neighbouring and of distant frames in three places; None of frames that show nothing."""
    frames = list(folder.frames.values())
    places = [min(part * len(frames) // 4, len(frames) - 2) for part in (1, 2, 3)]
    try:
        first, second = ([_thumbnail(tree.read(frames[at + step])) for at in places] for step in (0, 1))
    except (OSError, ValueError):
        return None
    if min(image.std() for image in (*first, *second)) < 1:
        return None
    near = [_correlation(one, other) for one, other in zip(first, second, strict=True)]
    far = [_correlation(one, other) for one, other in combinations(first, 2)]
    return float(np.mean(near)), float(np.mean(far))


def _correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def _thumbnail(content: bytes) -> NDArray[np.float32]:
    pixels = decode_image(content, min_side=16)
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (16, 16), interpolation=cv2.INTER_AREA), np.float32)


def _sizes(tree: FileTree, found: Sequence[FrameFolder]) -> list[str]:
    """A note where the first and the last image of a folder that is looked at differ in size."""
    for folder in _some(found):
        frames = list(folder.frames.values())
        try:
            sizes = [image_size(tree.read(key)) for key in (frames[0], frames[-1])]
        except (OSError, ValueError):
            continue
        if sizes[0] != sizes[1]:
            (height, width), (other_height, other_width) = sizes
            return [
                f"images of one video differ in size (in {folder.folder} {width} x {height} and {other_width} x "
                f"{other_height}); all are scaled and cut to that of its first"
            ]
    return []
