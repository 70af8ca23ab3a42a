"""Splits that sibling folders, files or columns name among other words, such as training_set and test_set."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from itertools import combinations

from selftaught.data.files.splits import Given, given_split

_WORDS: dict[str, Given] = {
    "train": "train", "training": "train", "trainval": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val", "eval": "val", "evaluation": "val",
    "test": "test", "testing": "test",
    "unlabelled": "unlabelled", "unlabeled": "unlabelled",
}  # fmt: skip
_FILLERS = (
    "set", "sets", "data", "dataset", "image", "images", "img", "imgs", "picture", "pictures", "photo", "photos",
    "frames", "videos", "clips", "files", "folder", "dir", "directory", "split", "part", "fold", "samples", "subset",
    "full", "all", "my", "the", "of", "labelled", "labeled", "x",
)  # fmt: skip
"""Words that say nothing of what is in a folder."""
# camelCase, digits and any other sign cut a name; "trainset" is cut behind the word it begins with.
_CUT = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+|\d+")
_GLUED = re.compile(rf"({'|'.join(sorted(_WORDS, key=len, reverse=True))})({'|'.join(_FILLERS[:-1])})")


def sibling_splits(names: Collection[str], inside: Mapping[str, Collection[str]] | None = None) -> dict[str, Given]:
    """The split that each of some siblings names; {} if they name none and may be classes.

    Names that are splits by themselves (`train`, `val2017`; see `given_split`) need no more than a train or unlabelled
    part and another one. Words among others (`training_set`, `seg_test`, `val-images-2`) count only where those that
    have them agree in the rest of their names, or in the folders they hold, and where they are at least half of the
    siblings: `bullet_train` beside `test_tube` are classes.

    Args:
        names: of folders, stems of files, values of a column; one of each.
        inside: the names of the folders in each of `names`.
    """
    exact = {name: part for name in names if (part := given_split(name))}
    worded = {name: part for name in names if (part := split_in(name))}
    if _are_parts(exact):
        return exact | {name: part for name, part in worded.items() if not _rest(name)}
    if not _are_parts(worded) or 2 * len(worded) < len(names):
        return {}
    alike = len({_rest(name) for name in worded}) == 1
    return worded if alike or _agree([set((inside or {}).get(name, ())) for name in worded]) else {}


def have_split_words(names: Collection[str]) -> bool:
    """Whether each of some siblings has the word of a split in its name, and not all of the same one."""
    found = {split_in(name) for name in names}
    return None not in found and len(found) > 1


def must_be_splits(names: Collection[str]) -> bool:
    """Whether siblings as classes would separate the splits: train_cats, test_cats ..."""
    parts: dict[tuple[str, ...], set[Given | None]] = {}
    for name in names:
        parts.setdefault(_rest(name), set()).add(split_in(name))
    return have_split_words(names) and (() in parts or any(len(found) > 1 for found in parts.values()))


def told_splits(found: Mapping[str, Given], what: str = "folders") -> str:
    """One sentence for people on how names were read; "" where each names its split and nothing else."""
    if all(given_split(name) for name in found):
        return ""
    shown = [f"{name} is {part}" for name, part in sorted(found.items())[:6]]
    more = f" and {len(found) - 6} more" if len(found) > 6 else ""
    return f"{what} were read as parts of the data by words in their names: {', '.join(shown)}{more}"


def _are_parts(found: Mapping[str, Given]) -> bool:
    parts = set(found.values())
    return len(parts) > 1 and bool({"train", "unlabelled"} & parts)


@lru_cache(maxsize=4096)
def _cut(name: str) -> tuple[str, ...]:
    words: list[str] = []
    for word in _CUT.findall(name):
        lower = word.lower()
        glued = None if lower in _WORDS else _GLUED.fullmatch(lower)
        words.extend(glued.groups() if glued else [lower])
    return tuple(words)


def split_in(name: str) -> Given | None:
    """The one split among the words of a name, or None; train and val together are train."""
    found = {_WORDS[word] for word in _cut(name) if word in _WORDS}
    if found == {"train", "val"}:
        return "train"
    return found.pop() if len(found) == 1 else None


def _rest(name: str) -> tuple[str, ...]:
    """What is left of a name without the split, numbers and words that say nothing."""
    return tuple(w for w in _cut(name) if w not in _WORDS and w not in _FILLERS and not w.isdecimal())


def _agree(folders: list[set[str]]) -> bool:
    """Whether any two share most of their folders, as the classes of a train and of a test part do."""
    return all(min(len(a), len(b)) > 1 and 2 * len(a & b) >= min(len(a), len(b)) for a, b in combinations(folders, 2))
