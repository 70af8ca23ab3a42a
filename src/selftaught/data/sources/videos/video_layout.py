"""Labels, parts and groups of videos: as of all files, and by the lists that come with data sets of actions."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from selftaught.data.files.file_tree import LARGEST_TEXT, FileTree
from selftaught.data.files.hints import Hints, UnfitHint
from selftaught.data.files.labels_file import LABELS_FILE, text_of
from selftaught.data.files.official_splits import NotListed, OfficialSplit, is_split_list, read_official, split_numbers
from selftaught.data.sources.layout import CLASSES_FILE, Layout, read_layout, text_in, with_groups
from selftaught.data.sources.videos.clip_tables import may_be_table, read_clip_tables

_LIST = re.compile(r"(train|test|val)[^/]*list[^/]*\.txt$|(train|test|val)_?(split|list)?_?\d*\.txt$", re.IGNORECASE)
_NEAR = ("ucftraintestlist", "testtrainmulti_7030_splits", "split", "splits", "lists", "annotations", "labels")
"""Folders beside the data, in small letters, that are looked into for lists and tables."""
_ENDS = (".csv", ".json")


def video_layout(tree: FileTree, keys: Sequence[str], hints: Hints) -> Layout:
    """Of videos, or folders of frames, with these keys.

    Parts are those of `--split-file`, else of folders or `labels.csv`, else of official lists or tables in the data or
    beside them; tables also name the classes where folders do not. Where groups are known, a drawn part has whole ones.
    """
    table = text_in(tree, LABELS_FILE)
    names = text_in(tree, CLASSES_FILE)
    layout = read_layout(keys, table=table, names=names, where=tree.where, column=hints.label_column)
    asked = Path(hints.split_file).expanduser() if hints.split_file is not None else None
    if hints.split_number is not None and layout.splits and asked is None:
        raise UnfitHint(
            f"--split-number chooses an official split, but {tree.where} has parts of its own; leave it out, or give "
            "lists by --split-file"
        )
    official = _official(tree, keys, hints, asked) if asked is not None or not layout.splits else None
    if official is None and (asked is not None or table is None):
        official = _tables(tree, keys, asked)
    if official is not None:
        layout = _with_lists(layout, official, is_asked=asked is not None)
    layout = replace(layout, notes=(*layout.notes, *_lists_not_used(tree, layout)))
    return with_groups(layout, keys, hints, table, tree.where)


def _official(tree: FileTree, keys: Sequence[str], hints: Hints, asked: Path | None) -> OfficialSplit | None:
    """The split by lists of UCF101 or HMDB51, where there are some."""
    texts = _found(tree, is_split_list) if asked is None else _texts(_folder_of(asked), is_split_list)
    where = tree.where if asked is None else str(asked)
    if split_numbers(list(texts)) and (asked is None or asked.is_dir() or is_split_list(asked.name)):
        try:
            return read_official(keys, texts, 1 if hints.split_number is None else hints.split_number, where)
        except NotListed:
            if asked is not None or hints.split_number is not None:
                raise
            return None  # of other data, which are beside these
    if hints.split_number is not None:
        raise UnfitHint(
            f"--split-number {hints.split_number} needs the lists of official splits, and there are none in or beside "
            f"{where}; give their folder by --split-file"
        )
    return None


def _tables(tree: FileTree, keys: Sequence[str], asked: Path | None) -> OfficialSplit | None:
    """Parts and labels by tables of clips, such as those of Kinetics, where there are some."""
    if asked is None:
        return read_clip_tables(keys, _found(tree, may_be_table))
    texts = {asked.name: _text(asked)} if asked.is_file() else _texts(asked, lambda name: name.endswith(_ENDS))
    found = read_clip_tables(keys, texts)
    if found is None:
        raise UnfitHint(
            f"--split-file {asked} names none of the {len(keys)} videos (such as {keys[0]}); give a folder with "
            "trainlist01.txt and testlist01.txt (UCF101) or wave_test_split1.txt ... (HMDB51), or the CSV or JSON file "
            "of Kinetics or Something-Something"
        )
    return found


def _folder_of(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _found(tree: FileTree, is_list: Callable[[str], bool]) -> dict[str, str]:
    """The lists in the data, else those beside them or in a folder beside them, by name."""
    inside = [key for key in tree.keys if is_list(key.rpartition("/")[2])]
    if inside:
        found = {key.rpartition("/")[2]: _decoded(partial(text_in, tree, key)) for key in inside}
        return {name: text for name, text in found.items() if text is not None}
    try:
        parent = Path(tree.where).absolute().parent
        folders = [parent, *sorted(folder for folder in parent.iterdir() if folder.name.lower() in _NEAR)]
        return next((texts for folder in folders if (texts := _texts(folder, is_list))), {})
    except OSError:
        return {}


def _texts(folder: Path, is_list: Callable[[str], bool]) -> dict[str, str]:
    """The lists in a folder, by name; {} where there is no such folder."""
    files = sorted(file for file in folder.iterdir() if is_list(file.name)) if folder.is_dir() else []
    small = [file for file in files if file.is_file() and file.stat().st_size <= LARGEST_TEXT]
    found = {file.name: _decoded(partial(_text, file)) for file in small}
    return {name: text for name, text in found.items() if text is not None}


def _decoded(read: Callable[[], str | None]) -> str | None:
    """What is read; None of what is no text, and so no list, whatever its name."""
    try:
        return read()
    except ValueError:
        return None


def _text(file: Path) -> str:
    return text_of(file.read_bytes(), str(file))


def _with_lists(layout: Layout, official: OfficialSplit, *, is_asked: bool) -> Layout:
    splits = official.parts if is_asked or not layout.splits else layout.splits
    labels = layout.labels or official.labels
    notes = [f"parts are those of the {official.name}"] if splits is official.parts and splits else []
    if labels is official.labels and labels:
        notes.append(f"classes are those of the {official.name}")
    if official.lost:
        notes.append(
            f"{official.lost} of the {official.listed} videos that they name are not there (such as "
            f"{official.missing[0][0]})"
        )
    names = sorted(set(labels.values()))
    classes: tuple[str, ...] | None = official.classes if set(official.classes) == set(names) else tuple(names)
    return replace(
        layout,
        labels=labels,
        splits=splits,
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
