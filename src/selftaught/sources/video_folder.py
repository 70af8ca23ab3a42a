"""A folder of videos, at any depth, with their sound where a task needs it."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import final

from selftaught.decode import Unreadable
from selftaught.sources.base import Entry, Source, digest
from selftaught.sources.file_tree import FoundFiles, find_files
from selftaught.sources.labels_file import LABELS_FILE, text_of
from selftaught.sources.layout import CLASSES_FILE, choose_entries, notes_of, own_part_of, read_layout

VIDEO_SUFFIXES = frozenset({".mp4", ".mkv", ".avi", ".mpg", ".mpeg", ".webm", ".mov"})


@final
class VideoFolder(Source):
    """One split of a folder of videos; `read` gives a video's local path.

    `provides` names "image" beside "video", as one frame will do for a task on pictures, and "audio" only where sound
    was asked for: only then are the containers opened to look for it.

    Attributes:
        skipped: (key, reason) of files that cannot serve, found without decoding.
    """

    def __init__(
        self,
        path: Path,
        entries: list[Entry],
        *,
        classes: tuple[str, ...] | None,
        fingerprint: str,
        skipped: list[tuple[str, str]] | None = None,
    ) -> None:
        self.name = str(path)
        self.entries = entries
        self.classes = classes
        self.provides = frozenset({"video", "image"} | ({"label"} if classes else set()))
        self.skipped = skipped or []
        if skipped is not None:
            self.provides |= {"audio"}
        self.fingerprint = fingerprint
        self._path = path

    def read(self, i: int) -> str:
        """The local path of video `i`."""
        return str(self._path / self.entries[i].key)


def open_video_folder(
    path: str | Path,
    *,
    split: str,
    needs: frozenset[str],
    seed: int,
    held_out: float,
    files: FoundFiles | None = None,
) -> VideoFolder:
    """One split of the videos below `path`; nothing is decoded.

    Args:
        path: the folder, searched at any depth; labels and splits as `layout.read_layout` finds them.
        split: "train", "held_out" or "test".
        needs: where it has "audio", videos without a sound track are left out and listed in `skipped`.
        seed: of the share that is held out where the data have no splits.
        held_out: that share.
        files: spares a second walk where one was made.
    """
    folder = Path(path)
    files = find_files(folder) if files is None else files
    videos = [found for found in files if is_video(found.key)]
    if not videos:
        kinds = ", ".join(sorted(VIDEO_SUFFIXES))
        raise ValueError(f"{folder} holds no videos; give a folder with files such as {kinds}")
    keys = [found.key for found in videos]
    layout = read_layout(keys, table=_text(folder / LABELS_FILE), names=_text(folder / CLASSES_FILE), where=str(folder))
    entries = choose_entries(keys, layout, split=split, needs=needs, seed=seed, held_out=held_out, where=str(folder))
    skipped = None
    if "audio" in needs:
        entries, skipped = _with_sound(folder, entries)
    stamps = {found.key: f"{found.size}:{found.modified}" for found in videos}
    fingerprint = digest([str(folder.resolve()), *(f"{entry.key}:{stamps[entry.key]}" for entry in entries)])
    source = VideoFolder(
        folder, entries, classes=None if layout.many else layout.classes, fingerprint=fingerprint, skipped=skipped
    )
    source.part = own_part_of(keys, layout, split)
    source.notes = [*files.notes, *notes_of(keys, layout, needs)]
    return source


def is_video(key: str) -> bool:
    """Whether the end of the name is one of a video format."""
    return os.path.splitext(key)[1].lower() in VIDEO_SUFFIXES  # noqa: PTH122 - called for 100,000 names


def _with_sound(folder: Path, entries: list[Entry]) -> tuple[list[Entry], list[tuple[str, str]]]:
    """The entries whose containers name a sound track, and why each other one cannot serve."""
    from selftaught.video_decode import has_sound

    def missing(entry: Entry) -> str | None:
        try:
            return None if has_sound(str(folder / entry.key)) else "no sound track"
        except Unreadable as unreadable:
            return str(unreadable)

    with ThreadPoolExecutor(8) as pool:
        reasons = list(pool.map(missing, entries))
    kept = [entry for entry, why in zip(entries, reasons, strict=True) if why is None]
    skipped = [(entry.key, why) for entry, why in zip(entries, reasons, strict=True) if why is not None]
    if not kept:
        key, why = skipped[0]
        raise ValueError(
            f"sound is needed, but none of the {len(entries)} videos of {folder} has any that can be read "
            f"(the first, {key}: {why}); give videos with a sound track"
        )
    return kept, skipped


def _text(file: Path) -> str | None:
    return text_of(file.read_bytes(), str(file)) if file.is_file() else None
