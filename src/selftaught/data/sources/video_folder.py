"""A folder or zip of videos, at any depth, with their sound where a task needs it."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from io import BytesIO
from pathlib import Path
from typing import final

from selftaught.core.names import one_line
from selftaught.data.decode.encoded_video import EncodedVideo
from selftaught.data.files.file_kinds import VIDEO_SUFFIXES, starts_like_stream
from selftaught.data.files.file_tree import FileTree, FolderTree, Unreadable
from selftaught.data.files.file_walk import FoundFiles
from selftaught.data.files.hints import NO_HINTS, Hints
from selftaught.data.files.left_out import left_out_as, other_kinds
from selftaught.data.files.splits import own_part
from selftaught.data.sources.base import Entry, Source
from selftaught.data.sources.layout import choose_entries, in_no_part, notes_of
from selftaught.data.sources.videos.sound_beside import sounds_beside, track_in, why_unheard
from selftaught.data.sources.videos.video_cameras import VideoCameras
from selftaught.data.sources.videos.video_layout import video_layout

NO_TRACK = "no sound track"


@final
class VideoFolder(Source):
    """One split of the videos of a folder or zip.

    `provides` has "image" next to "video", as one frame is enough for an image task, and "audio" only if sound
    was asked for: only then are the containers opened to look for it.

    Sound of a video without a track of its own is that of a file of sound beside it with its name.

    Attributes:
        skipped: (key, reason) of files that cannot serve, found without decoding.
    """

    def __init__(
        self,
        tree: FileTree,
        entries: list[Entry],
        *,
        classes: tuple[str, ...] | None,
        skipped: list[tuple[str, str]] | None = None,
        beside: Mapping[str, str] | None = None,
    ) -> None:
        self.name = tree.where
        self.entries = entries
        self.classes = classes
        self.provides = frozenset({"video", "image"} | ({"label"} if classes else set()))
        self.skipped = skipped or []
        if skipped is not None:
            self.provides |= {"audio"}
        self._beside = beside or {}
        tracks = [self._beside[entry.key] for entry in entries if entry.key in self._beside]
        self.fingerprint = tree.fingerprint([*(entry.key for entry in entries), *tracks])
        self._tree = tree

    def read(self, i: int) -> str | EncodedVideo:
        """The local path of video `i`, or the member of the zip; with the file of its sound, where that is beside."""
        key = self.entries[i].key
        video = _video(self._tree, key)
        if key not in self._beside:
            return video
        opened = video.open if isinstance(video, EncodedVideo) else track_in(self._tree, key)
        return EncodedVideo(opened, track_in(self._tree, self._beside[key]))


def _video(tree: FileTree, key: str) -> str | EncodedVideo:
    return str(Path(tree.where, key)) if isinstance(tree, FolderTree) else EncodedVideo(lambda: BytesIO(tree.read(key)))


def open_video_folder(
    data: str | Path | FileTree,
    *,
    split: str,
    needs: frozenset[str],
    seed: int,
    held_out: float,
    files: FoundFiles | None = None,
    hints: Hints = NO_HINTS,
) -> VideoFolder:
    """One split of the videos of a folder or zip; nothing is decoded.

    Args:
        data: the folder or archive, searched at any depth; labels, splits and groups as `video_layout` finds them.
        split: "train", "held_out" or "test".
        needs: where it has "audio", videos without sound are left out and listed in `skipped`; where it has "pose" or
            "intrinsics", those without.
        seed: of the share that is held out where the data have no splits.
        held_out: that share.
        files: of an earlier walk, to avoid a second one.
        hints: what the files do not say.
    """
    tree = data if isinstance(data, FileTree) else FolderTree(Path(data), files)
    keys = videos_of(tree, needs)
    if not keys:
        kinds = ", ".join(sorted(VIDEO_SUFFIXES))
        raise ValueError(f"{tree.where} holds no videos; give a folder with files such as {kinds}")
    layout = video_layout(tree, keys, hints)
    heard, skipped, beside = keys, None, dict[str, str]()
    if "audio" in needs:  # before the parts are drawn, so that each has some
        heard, silent, beside = _with_sound(tree, keys)
        skipped = silent if split == "train" else []
    cameras = VideoCameras(tree, needs, partial(_video, tree))
    unknown: list[tuple[str, str]] = []
    if cameras.kinds:
        heard, unknown = cameras.usable(heard)
    entries = choose_entries(heard, layout, split=split, needs=needs, seed=seed, held_out=held_out, where=tree.where)
    classes = None if layout.many else layout.classes
    source = VideoFolder(tree, entries, classes=classes, skipped=skipped, beside=beside)
    layout.tell_table(source)
    source.maps = cameras.maps([entry.key for entry in entries])
    source.provides |= source.maps.keys()
    source.part = own_part(heard, layout.splits, split)
    chosen = {*keys, *beside.values()}
    others, notes = other_kinds((key for key in tree.keys if key not in chosen), "videos")
    none = left_out_as("in no part", in_no_part(keys, layout), "in no part of the data")
    source.left_out = tree.left_out + others + none
    notes = [*tree.told(), *notes, *notes_of(keys, layout, needs)]
    source.notes = [one_line(note) for note in notes]
    if split == "train":
        source.skipped = [*source.skipped, *unknown, *tree.unusable, *layout.missing]
    return source


def videos_of(tree: FileTree, needs: frozenset[str]) -> list[str]:
    """The videos by the ends of their names; animated images among them only where clips are needed."""
    suffixes = VIDEO_SUFFIXES | ({".gif"} if "video" in needs and "audio" not in needs else set())
    keys = [key for key in tree.keys if key[key.rfind(".") :].lower() in suffixes]
    return [key for key in keys if not key.lower().endswith(".ts") or starts_like_stream(tree.start(key))]


def _with_sound(tree: FileTree, keys: list[str]) -> tuple[list[str], list[tuple[str, str]], dict[str, str]]:
    """The videos with sound, why each other one cannot serve, and the files of sound of those without a track."""
    near = sounds_beside(tree, keys)
    with ThreadPoolExecutor(8) as pool:
        reasons = dict(zip(keys, pool.map(lambda key: _why_silent(tree, key), keys), strict=True))
        asked = [key for key, why in reasons.items() if why == NO_TRACK and key in near]
        broken = dict(zip(asked, pool.map(lambda key: why_unheard(tree, near[key]), asked), strict=True))
    for key, why in broken.items():
        reasons[key] = None if why is None else f"{NO_TRACK}, and {near[key]} beside it cannot be used: {why}"
    kept = [key for key, why in reasons.items() if why is None]
    skipped = [(key, why) for key, why in reasons.items() if why is not None]
    if not kept:
        key, why = skipped[0]
        raise ValueError(
            f"sound is needed, but none of the {len(keys)} videos of {tree.where} has any that can be read "
            f"(the first, {key}: {why}); give videos with a sound track, or files of sound beside them, such as "
            f"{key[: key.rfind('.')]}.wav"
        )
    return kept, skipped, {key: near[key] for key, why in broken.items() if why is None}


def _why_silent(tree: FileTree, key: str) -> str | None:
    video = _video(tree, key)
    try:
        if isinstance(video, EncodedVideo):
            return _silence(video)
        return _silence_of_file(video, Path(video).stat().st_mtime_ns)
    except OSError as gone:
        return gone.strerror or type(gone).__name__


@lru_cache(maxsize=1 << 16)  # each part of the data asks
def _silence_of_file(path: str, modified: int) -> str | None:
    return _silence(path)


def _silence(video: str | EncodedVideo) -> str | None:
    from selftaught.data.decode.video import has_sound

    try:
        return None if has_sound(video) else NO_TRACK
    except Unreadable as unreadable:
        return str(unreadable)
