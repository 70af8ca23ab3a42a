"""Labels, parts and groups of videos: as of all files, and by the lists that come with data sets of actions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from selftaught.data.files.file_tree import LARGEST_TEXT, FileTree
from selftaught.data.files.hints import Hints
from selftaught.data.files.labels_file import LABELS_FILE, text_of
from selftaught.data.files.official_splits import NotListed, OfficialSplit, is_split_list, read_official, split_numbers
from selftaught.data.sources.layout import CLASSES_FILE, Layout, read_layout, text_in, with_groups

_LIST = re.compile(r"(train|test|val)[^/]*list[^/]*\.txt$|(train|test|val)_?(split|list)?_?\d*\.txt$", re.IGNORECASE)
_NEAR = ("ucftraintestlist", "testtrainmulti_7030_splits", "split", "splits", "lists")
"""Folders beside the data, in small letters, that are looked into for lists."""


def video_layout(tree: FileTree, keys: Sequence[str], hints: Hints) -> Layout:
    """Of videos, or folders of frames, with these keys.

    Parts are those of `--split-file`, else of folders or `labels.csv`, else of official lists in the data or beside
    them. Where groups are known, a drawn part has whole ones.
    """
    table = text_in(tree, LABELS_FILE)
    layout = read_layout(keys, table=table, names=text_in(tree, CLASSES_FILE), where=tree.where)
    if hints.split_file is not None or not layout.splits:
        layout = _with_lists(layout, _official(tree, keys, hints))
        layout = replace(layout, notes=(*layout.notes, *_lists_not_used(tree, layout)))
    elif hints.split_number is not None:
        raise ValueError(
            f"--split-number chooses an official split, but {tree.where} has parts of its own; leave it out, or give "
            "lists by --split-file"
        )
    return with_groups(layout, keys, hints, table, tree.where)


def _official(tree: FileTree, keys: Sequence[str], hints: Hints) -> OfficialSplit | None:
    if hints.split_file is not None:
        where, texts = hints.split_file, _given_lists(Path(hints.split_file).expanduser())
    else:
        where, texts = tree.where, _found_lists(tree)
    if split_numbers(list(texts)):
        try:
            return read_official(keys, texts, hints.split_number or 1, where)
        except NotListed:
            if hints.split_file is not None or hints.split_number is not None:
                raise
            return None  # of other data, which are beside these
    if hints.split_number is not None:
        raise ValueError(
            f"--split-number {hints.split_number} needs the lists of official splits, and there are none in or beside "
            f"{where}; give their folder by --split-file"
        )
    return None


def _given_lists(path: Path) -> dict[str, str]:
    """The lists of a folder; of a file those beside it too, as a split is in several of them."""
    folder = path if path.is_dir() else path.parent
    found = _texts(folder) if path.exists() else {}
    if not split_numbers(list(found)):
        raise ValueError(
            f"--split-file {path} holds no lists of an official split; give a folder with trainlist01.txt and "
            "testlist01.txt as UCF101 has them, or with files such as wave_test_split1.txt as HMDB51 has them"
        )
    return found


def _found_lists(tree: FileTree) -> dict[str, str]:
    """The lists in the data, else those in a folder beside them, by name."""
    inside = [key for key in tree.keys if is_split_list(key.rpartition("/")[2])]
    if inside:
        return {key.rpartition("/")[2]: text_in(tree, key) or "" for key in inside}
    here = Path(tree.where)
    try:
        near = sorted(folder for folder in here.absolute().parent.iterdir() if folder.name.lower() in _NEAR)
        return next((found for folder in near if split_numbers(list(found := _texts(folder)))), {})
    except OSError:
        return {}


def _texts(folder: Path) -> dict[str, str]:
    files = sorted(file for file in folder.iterdir() if is_split_list(file.name) and file.is_file())
    small = [file for file in files if file.stat().st_size <= LARGEST_TEXT]
    return {file.name: text_of(file.read_bytes(), str(file)) for file in small}


def _with_lists(layout: Layout, official: OfficialSplit | None) -> Layout:
    if official is None:
        return layout
    notes = [f"parts are those of the {official.name} (--split-number)"]
    if official.missing:
        notes.append(_told(official.missing, official.lists))
    labels = layout.labels or official.labels
    names = sorted(set(labels.values()))
    classes: tuple[str, ...] | None = official.classes if set(official.classes) == set(names) else tuple(names)
    return replace(
        layout,
        labels=labels,
        splits=official.parts,
        classes=classes if len(names) > 1 else None,
        missing=tuple(official.missing),
        notes=(*layout.notes, *notes),
        wrong="",
    )


def _lists_not_used(tree: FileTree, layout: Layout) -> list[str]:
    """A note on lists of parts that are not read, of other kinds or of other videos."""
    lists = [key for key in tree.keys if _LIST.search(key)]
    if layout.splits or not lists:
        return []
    return [
        f"{len(lists)} lists such as {lists[0]} are not read; name the parts in the column split of {LABELS_FILE}, or "
        "clips cut from one video may fall on both sides"
    ]


def _told(missing: Sequence[tuple[str, str]], count: int) -> str:
    return f"{len(missing)} of the {count} videos in the lists are not there (such as {missing[0][0]})"
