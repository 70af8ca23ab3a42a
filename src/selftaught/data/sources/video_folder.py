"""A folder of videos, at any depth, with their sound where a task needs it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import final

from selftaught.core.names import one_line
from selftaught.data.files.file_kinds import VIDEO_SUFFIXES, starts_like_stream
from selftaught.data.files.file_tree import FileTree, FolderTree, Unreadable
from selftaught.data.files.file_walk import FoundFiles
from selftaught.data.files.hints import NO_HINTS, Hints
from selftaught.data.files.left_out import left_out_as, other_kinds
from selftaught.data.files.splits import own_part
from selftaught.data.sources.base import Entry, Source
from selftaught.data.sources.layout import choose_entries, in_no_part, notes_of
from selftaught.data.sources.videos.video_layout import video_layout


@final
class VideoFolder(Source):
    """One split of a folder of videos; `read` gives a video's local path.

    `provides` has "image" next to "video", as one frame is enough for an image task, and "audio" only if sound
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
    hints: Hints = NO_HINTS,
) -> VideoFolder:
    """One split of the videos below `path`; nothing is decoded.

    Args:
        path: the folder, searched at any depth; labels, splits and groups as `video_layout` finds them.
        split: "train", "held_out" or "test".
        needs: where it has "audio", videos without a sound track are left out and listed in `skipped`.
        seed: of the share that is held out where the data have no splits.
        held_out: that share.
        files: of an earlier walk, to avoid a second one.
        hints: what the files do not say.
    """
    folder = Path(path)
    tree = FolderTree(folder, files)
    keys = videos_of(tree, needs)
    if not keys:
        kinds = ", ".join(sorted(VIDEO_SUFFIXES))
        raise ValueError(f"{folder} holds no videos; give a folder with files such as {kinds}")
    layout = video_layout(tree, keys, hints)
    heard, skipped = keys, None
    if "audio" in needs:  # before the parts are drawn, so that each has some
        heard, silent = _with_sound(folder, keys)
        skipped = silent if split == "train" else []
    entries = choose_entries(heard, layout, split=split, needs=needs, seed=seed, held_out=held_out, where=str(folder))
    source = VideoFolder(
        folder,
        entries,
        classes=None if layout.many else layout.classes,
        fingerprint=tree.fingerprint([entry.key for entry in entries]),
        skipped=skipped,
    )
    source.part = own_part(heard, layout.splits, split)
    chosen = set(keys)
    others, notes = other_kinds((key for key in tree.keys if key not in chosen), "videos")
    none = left_out_as("in no part", in_no_part(keys, layout), "in no part of the data")
    source.left_out = tree.left_out + others + none
    notes = [*tree.told(), *notes, *notes_of(keys, layout, needs)]
    source.notes = [one_line(note) for note in notes]
    if split == "train":
        source.skipped = [*source.skipped, *tree.unusable, *layout.missing]
    return source


def videos_of(tree: FileTree, needs: frozenset[str]) -> list[str]:
    """The videos by the ends of their names; animated images among them only where clips are needed."""
    suffixes = VIDEO_SUFFIXES | ({".gif"} if "video" in needs and "audio" not in needs else set())
    keys = [key for key in tree.keys if key[key.rfind(".") :].lower() in suffixes]
    return [key for key in keys if not key.lower().endswith(".ts") or starts_like_stream(tree.start(key))]


def _with_sound(folder: Path, keys: list[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """The videos whose containers name a sound track, and why each other one cannot serve."""

    def missing(key: str) -> str | None:
        path = folder / key
        try:
            return _why_silent(str(path), path.stat().st_mtime_ns)
        except OSError as gone:
            return gone.strerror or type(gone).__name__

    with ThreadPoolExecutor(8) as pool:
        reasons = list(pool.map(missing, keys))
    kept = [key for key, why in zip(keys, reasons, strict=True) if why is None]
    skipped = [(key, why) for key, why in zip(keys, reasons, strict=True) if why is not None]
    if not kept:
        key, why = skipped[0]
        raise ValueError(
            f"sound is needed, but none of the {len(keys)} videos of {folder} has any that can be read "
            f"(the first, {key}: {why}); give videos with a sound track"
        )
    return kept, skipped


@lru_cache(maxsize=1 << 16)  # each part of the data asks
def _why_silent(path: str, modified: int) -> str | None:
    from selftaught.data.decode.video import has_sound

    try:
        return None if has_sound(path) else "no sound track"
    except Unreadable as unreadable:
        return str(unreadable)
