"""Splits and classes from the names of folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from selftaught.data.files.split_words import have_split_words, must_be_splits, sibling_splits, split_in, told_splits
from selftaught.data.files.splits import Given, given_split

_DEEPEST_SPLIT = 3
_DEEPEST_CLASS = 8


@dataclass(frozen=True)
class FolderNames:
    """What the folders of files say.

    Attributes:
        labels: class of a file.
        splits: part of a file; a file that is absent has no split, if others have one.
        notes: sentences on where the names could be read in another way.
        class_notes: such sentences for those who use the classes.
        wrong: why the folders cannot be classes, or "".
    """

    labels: Mapping[str, str]
    splits: Mapping[str, Given]
    notes: tuple[str, ...] = ()
    class_notes: tuple[str, ...] = ()
    wrong: str = ""


def read_folder_names(keys: Sequence[str]) -> FolderNames:
    """Splits are the first folders named so (a level or two down); classes the next ones, where there are several.

    If split folders contain no class folders, classes are the folders above them.
    """
    folder_of = [key.rpartition("/")[0] for key in keys]
    files = Counter(folder_of)  # names are looked at once a folder, not once a file
    parts = {folder: folder.split("/") if folder else [] for folder in files}
    for depth in range(_DEEPEST_SPLIT):
        named = _splits_at(parts.values(), depth)
        if named:
            break
    part_of = {folder: named.get(steps[depth]) if len(steps) > depth else None for folder, steps in parts.items()}
    label_of, notes = _labels(parts, part_of, depth, named, files) if named else _classes(parts, files)
    labels = {key: label_of[folder] for key, folder in zip(keys, folder_of, strict=True) if folder in label_of}
    if not named:
        return _without_splits(labels, notes)
    splits = {key: part for key, folder in zip(keys, folder_of, strict=True) if (part := part_of[folder])}
    told = [told_splits(named)] if told_splits(named) else []
    if {"val", "test"} <= set(named.values()):
        told.append("the data have a val and a test part: val is held out from training, probes are measured on test")
    return FolderNames(labels, splits, tuple(told), notes)


def _without_splits(labels: dict[str, str], notes: tuple[str, ...]) -> FolderNames:
    names = sorted(set(labels.values()))
    shown = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
    if names and must_be_splits(names):
        wrong = (
            f"the folders {shown} would be the classes, but their names are those of parts of the data; name the "
            "parts train and test (val), with the folders of the classes in them, or add a labels.csv"
        )
        return FolderNames(labels, {}, (f"the folders {shown} were not taken for parts of the data",), (), wrong)
    if names and (have_split_words(names) or any(given_split(name) for name in names)):
        notes = (f"the folders {shown} are read as classes, although some are named as parts of the data are", *notes)
    return FolderNames(labels, {}, (), notes)


def _splits_at(folders: Collection[Sequence[str]], depth: int) -> dict[str, Given]:
    inside: dict[str, set[str]] = {}
    for parts in folders:
        if len(parts) > depth:
            inside.setdefault(parts[depth], set()).update(parts[depth + 1 : depth + 2])
    return sibling_splits(inside, inside)


def _labels(
    parts: Mapping[str, list[str]],
    part_of: Mapping[str, Given | None],
    depth: int,
    named: Mapping[str, Given],
    files: Counter[str],
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Classes below the folders of splits at `depth`, else above them."""
    below: dict[str, set[str]] = {}
    for folder, steps in parts.items():
        if part_of[folder]:
            below.setdefault(steps[depth], set()).add((steps[depth + 1 :] or [""])[0])
    # seg_train/seg_train/street: a split within a folder of the same split is no class.
    again = {name for name, found in below.items() if len(found) == 1 and split_in(*found) == named[name]}
    inside: dict[str, list[str] | None] = {
        folder: steps[depth + 1 + (steps[depth] in again) :] if part_of[folder] else None
        for folder, steps in parts.items()
    }
    labels, notes = _classes(inside, files)
    if not labels and depth:
        above = {folder: steps[:depth] if part_of[folder] else None for folder, steps in parts.items()}
        labels, notes = _classes(above, files)
    return labels, notes


def _classes(
    parts: Mapping[str, list[str] | None] | Mapping[str, list[str]], files: Counter[str]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The class of each folder, and notes on what has none; None of a folder that is in no part."""
    inside = {folder: steps for folder, steps in parts.items() if steps is not None}
    depth = 0  # folders that all files share say nothing
    while depth < _DEEPEST_CLASS and len({(steps[depth:] or [""])[0] for steps in inside.values() if steps}) == 1:
        depth += 1
    labels = {folder: steps[depth] for folder, steps in inside.items() if len(steps) > depth}
    names = sorted(set(labels.values()))
    if len(names) < 2:
        return {}, ()
    notes = []
    deeper = ["/".join(steps[depth:]) for steps in inside.values() if len(steps) > depth + 1]
    if deeper:
        notes.append(f"classes are the folders {_some(names)}; folders in them, such as {min(deeper)}, are not")
    beside = sum(files[folder] for folder in inside if folder not in labels)
    if beside:
        notes.append(f"{beside} of the files are next to the class folders ({_some(names)}) and have no class")
    return labels, tuple(notes)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
