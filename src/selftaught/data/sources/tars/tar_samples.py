"""What the members of tars are to each other: images and their masks, classes, splits."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import final

from selftaught.data.files.file_tree import MAX_FILE_BYTES, FileTree
from selftaught.data.files.shard_names import short_names
from selftaught.data.sources.layout import Layout, tree_layout
from selftaught.data.sources.tables.label_values import number_labels
from selftaught.data.sources.tars.tar_index import TarIndex, sample_name

_FIRST = (".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".avif", ".png")
_PICTURE_WORDS = frozenset(("image", "img", "rgb", "picture", "photo", "input", "color", "colour"))
_MAP_WORD = re.compile(
    r"(\w*_)?(seg|segm|semseg|segmentation|semantic|instances?|panoptic|masks?|depth|disparity|normals?|labels?|gt"
    r"|annotations?|flow|edges?|alpha|matte|trimap|saliency)\d*(_\w*)?$"
)


def one_picture_each(members: Sequence[str], shards: Sequence[int]) -> tuple[list[int], list[int]]:
    """Positions of the images to take, in order, and of those that belong to another one of their sample.

    Of `x.jpg`, `x.seg.png`, `x.depth.png` the first; of `x.rgb.png`, `x.mask.png` too. Where no name says what it
    is, as in `cat.0.jpg`, `cat.1.jpg`, each is an image.

    Args:
        members: names of images.
        shards: number of the tar that each is in.
    """
    together: dict[tuple[int, str], list[int]] = defaultdict(list)
    for i, (shard, member) in enumerate(zip(shards, members, strict=True)):
        together[shard, sample_name(member)].append(i)
    left: set[int] = set()
    for same in together.values():
        if len(same) < 2:
            continue
        ranks = {i: _rank(members[i]) for i in same}
        best = min(ranks.values())
        if best < (_UNKNOWN, 0):
            first = min(same, key=ranks.__getitem__)
            left.update(i for i in same if i != first)
        elif best < (_MAP, 0):
            left.update(i for i in same if ranks[i] >= (_MAP, 0))
    return [i for i in range(len(members)) if i not in left], sorted(left)


_PLAIN, _NAMED, _UNKNOWN, _MAP = range(4)


def _rank(member: str) -> tuple[int, int]:
    name = member.rpartition("/")[2].lower()
    middle = name.split(".")[1:-1]
    suffix = name[name.rfind(".") :]
    order = _FIRST.index(suffix) if suffix in _FIRST else len(_FIRST)
    if not middle:
        return _PLAIN, order
    if any(_MAP_WORD.match(word) for word in middle):
        return _MAP, order
    return (_NAMED if set(middle) <= _PICTURE_WORDS else _UNKNOWN), order


def member_layout(
    keys: Sequence[str],
    members: Sequence[str],
    shards: Sequence[int],
    indexes: Sequence[TarIndex],
    *,
    needs: frozenset[str],
    where: str,
) -> tuple[list[str], Layout]:
    """The keys that are no masks, and labels and splits by them: of .cls and .json members, else as of a folder.

    Args:
        keys: unique names of the images over all tars.
        members: their names in the tars.
        shards: number of the tar of each.
        indexes: of all tars.
        needs: what the task or probe asks for.
        where: the data, for messages.
    """
    tables = _tables(indexes, where)
    inside = short_names([*members, *tables]) if len(set(members)) + len(tables) > 1 else [*members, *tables]
    tree = _Members(where, inside[: len(members)], dict(zip(inside[len(members) :], tables.values(), strict=True)))
    pictures, layout = tree_layout(tree, sorted(set(inside[: len(members)])), needs)
    is_picture, pairs = set(pictures), list(zip(keys, inside, strict=False))
    kept = [key for key, member in pairs if member in is_picture]
    layout = replace(
        layout,
        labels={key: layout.labels[member] for key, member in pairs if member in layout.labels},
        splits={key: layout.splits[member] for key, member in pairs if member in layout.splits},
        targets=None
        if layout.targets is None
        else {key: layout.targets[member] for key, member in pairs if member in layout.targets},
    )
    if not any(index.labels for index in indexes):
        return kept, layout
    texts = [indexes[shard].labels.get(sample_name(member)) for shard, member in zip(shards, members, strict=True)]
    labels, classes = _numbers(texts)
    names = classes or ()
    told = {key: names[label] for key, label in zip(keys, labels, strict=True) if label is not None}
    return kept, Layout(told, layout.splits, classes)


def _numbers(texts: Sequence[str | None]) -> tuple[list[int | None], tuple[str, ...] | None]:
    present = [text for text in texts if text is not None]
    if present and all(re.fullmatch(r"-?[0-9]{1,18}", text) for text in present):
        return number_labels([None if text is None else int(text) for text in texts], names=None)
    return number_labels(texts, names=None) if present else ([None] * len(texts), None)


def _tables(indexes: Sequence[TarIndex], where: str) -> dict[str, str]:
    """labels.csv and classes.txt by their names; those of several tars are joined."""
    found: dict[str, str] = {}
    for index in indexes:
        for name, text in index.tables.items():
            head, _, rows = text.partition("\n")
            if name in found and name.endswith(".csv"):
                if head.strip() != found[name].partition("\n")[0].strip():
                    raise ValueError(
                        f"{name} has other columns in one tar of {where} than in another; give it the same"
                    )
                text = f"{found[name].rstrip()}\n{rows}"
            found[name] = text
    return found


@final
class _Members(FileTree):
    """The images and the tables of tars as files of one folder."""

    def __init__(self, where: str, members: Sequence[str], tables: dict[str, str]) -> None:
        self.where = where
        self.keys = sorted({*members, *tables})
        self._known, self._tables = set(self.keys), tables

    def __contains__(self, key: str) -> bool:
        return key in self._known

    def read(self, key: str, *, most: int = MAX_FILE_BYTES) -> bytes:
        return self._tables[key].encode()

    def stamp(self, key: str) -> str:
        return key
