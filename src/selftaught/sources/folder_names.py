"""Splits and classes from the names of the folders that files lie in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selftaught.sources.split_words import have_split_words, must_be_splits, sibling_splits, split_in, told_splits
from selftaught.sources.splits import Given, given_split

_DEEPEST_SPLIT = 3
_DEEPEST_CLASS = 8


@dataclass(frozen=True)
class FolderNames:
    """What the folders of files say.

    Attributes:
        labels: class of a file.
        splits: part of a file; a file that is absent is in none, where others are in one.
        notes: sentences on where the names could be read in another way.
        class_notes: such sentences for those who use the classes.
        wrong: why the classes surely are none, or "".
    """

    labels: Mapping[str, str]
    splits: Mapping[str, Given]
    notes: tuple[str, ...] = ()
    class_notes: tuple[str, ...] = ()
    wrong: str = ""


def read_folder_names(keys: Sequence[str]) -> FolderNames:
    """Splits are the first folders named so (a level or two down); classes the next ones, where there are several.

    Where nothing lies below the folders of splits, classes are the folders above them.
    """
    folders = [key.split("/")[:-1] for key in keys]
    for depth in range(_DEEPEST_SPLIT):
        named = _splits_at(folders, depth)
        if named:
            return _with_splits(keys, folders, depth, named)
    labels, notes = _classes(keys, folders)
    names = sorted(set(labels.values()))
    shown = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
    wrong = ""
    if names and must_be_splits(names):
        wrong = (
            f"the folders {shown} would be the classes, but their names are those of parts of the data; name the "
            "parts train and test (val), with the folders of the classes in them, or add a labels.csv"
        )
        return FolderNames(labels, {}, (f"the folders {shown} were not taken for parts of the data",), (), wrong)
    if names and (have_split_words(names) or any(given_split(name) for name in names)):
        notes = (f"the folders {shown} are read as classes, although some are named as parts of the data are", *notes)
    return FolderNames(labels, {}, (), notes)


def _splits_at(folders: Sequence[Sequence[str]], depth: int) -> dict[str, Given]:
    inside: dict[str, set[str]] = {}
    for parts in folders:
        if len(parts) > depth:
            inside.setdefault(parts[depth], set()).update(parts[depth + 1 : depth + 2])
    return sibling_splits(inside, inside)


def _with_splits(
    keys: Sequence[str], folders: Sequence[list[str]], depth: int, named: Mapping[str, Given]
) -> FolderNames:
    part_of = [named.get(parts[depth]) if len(parts) > depth else None for parts in folders]
    splits = {key: part for key, part in zip(keys, part_of, strict=True) if part}
    below: dict[str, set[str]] = {}
    for parts, part in zip(folders, part_of, strict=True):
        if part:
            below.setdefault(parts[depth], set()).add((parts[depth + 1 :] or [""])[0])
    # seg_train/seg_train/street: a split within a folder of the same split is no class.
    again = {name for name, found in below.items() if len(found) == 1 and split_in(*found) == named[name]}
    pairs = list(zip(folders, part_of, strict=True))
    labels, notes = _classes(
        keys, [parts[depth + 1 + (parts[depth] in again) :] if part else None for parts, part in pairs]
    )
    if not labels and depth:
        labels, notes = _classes(keys, [parts[:depth] if part else None for parts, part in pairs])
    told = [told_splits(named)] if told_splits(named) else []
    if {"val", "test"} <= set(named.values()):
        told.append("the data have a val and a test part: val is held out from training, probes are measured on test")
    return FolderNames(labels, splits, tuple(told), notes)


def _classes(keys: Sequence[str], folders: Sequence[list[str] | None]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Classes, and notes on what has none, from the folders of each file; None of a file that is in no part."""
    depth = 0  # folders that all files share say nothing
    while depth < _DEEPEST_CLASS and len({(parts[depth:] or [""])[0] for parts in folders if parts}) == 1:
        depth += 1
    labels = {key: parts[depth] for key, parts in zip(keys, folders, strict=True) if parts and len(parts) > depth}
    counts = Counter(labels.values())
    if len(counts) < 2:
        return {}, ()
    notes = []
    deeper = {"/".join(parts[depth:]) for parts in folders if parts and len(parts) > depth + 1}
    if deeper:
        notes.append(f"classes are the folders {_some(list(counts))}; folders in them, such as {min(deeper)}, are not")
    beside = sum(parts is not None for parts in folders) - len(labels)
    if beside:
        notes.append(
            f"{beside} of the files lie beside the folders of classes ({_some(list(counts))}) and have no class"
        )
    return labels, tuple(notes)


def _some(names: Sequence[str]) -> str:
    return ", ".join(sorted(names)[:3]) + (" ..." if len(names) > 3 else "")
