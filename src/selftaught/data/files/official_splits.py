"""Official splits of action data: the lists that come with UCF101, and those that come with HMDB51.

UCF101 has `trainlist01.txt` (`Archery/v_Archery_g08_c01.avi 3`), `testlist01.txt` and `classInd.txt` (`3 Archery`).
HMDB51 has `wave_test_split1.txt` for each class (`name.avi 1`: 1 is training, 2 is test, 0 is in neither part).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from selftaught.data.files.file_kinds import is_video
from selftaught.data.files.hints import UnfitHint
from selftaught.data.files.left_out import MOST_LISTED
from selftaught.data.files.splits import Given

UCF_LIST = re.compile(r"(train|test)list0?(\d+)\.txt", re.IGNORECASE)
UCF_CLASSES = re.compile(r"classind\.txt", re.IGNORECASE)
HMDB_LIST = re.compile(r"(.+)_test_split(\d+)\.txt", re.IGNORECASE)
_HMDB_PARTS: Mapping[str, Given | None] = {"1": "train", "2": "test", "0": None}


class NoSuchSplit(UnfitHint):
    """The lists hold no split of that number."""


class NotListed(UnfitHint):
    """The lists of a split are of other videos."""


@dataclass(frozen=True)
class OfficialSplit:
    """What the lists of one split say of the videos.

    Attributes:
        name: "official split 1 of 3 (--split-number)".
        parts: part of a key that is in one.
        labels: class of a key, by the lists.
        classes: names of the classes in the order of the class list; () without one.
        missing: (path, reason) of what a list names and is not there, of the first ten thousand.
        listed: how many videos are named.
        lost: how many of them are not there.
    """

    name: str
    parts: Mapping[str, Given]
    labels: Mapping[str, str]
    classes: tuple[str, ...]
    missing: Sequence[tuple[str, str]]
    listed: int
    lost: int


@dataclass(frozen=True)
class _Listed:
    path: str
    """Class, "/" and name."""
    part: Given | None
    file: str


def is_split_list(name: str) -> bool:
    """Whether a file of this name belongs to an official split."""
    return any(pattern.fullmatch(name) for pattern in (UCF_LIST, UCF_CLASSES, HMDB_LIST))


def split_numbers(names: Sequence[str]) -> list[int]:
    """The splits that files of these names describe, in order."""
    found = [match for name in names for pattern in (UCF_LIST, HMDB_LIST) if (match := pattern.fullmatch(name))]
    return sorted({int(match[2]) for match in found})


def read_official(keys: Sequence[str], texts: Mapping[str, str], number: int, where: str) -> OfficialSplit:
    """Split `number` of some videos.

    Args:
        keys: of the videos; they may have been written again under another ending, or be folders of frames.
        texts: the lists, by their names.
        number: which split, from 1 on.
        where: the lists, for messages.

    Raises:
        NoSuchSplit: where there is none of that number.
        ValueError: where a line is none of such a list.
        NotListed: where no video is in the lists.
    """
    numbers = split_numbers(list(texts))
    if number not in numbers:
        have = ", ".join(map(str, numbers)) or "none"
        raise NoSuchSplit(f"--split-number must be one of the splits of {where} ({have}), got {number}")
    listed = [*_ucf(texts, number), *_hmdb(texts, number)]
    by_path, by_name = _places(keys)
    parts: dict[str, Given] = {}
    labels: dict[str, str] = {}
    missing: list[tuple[str, str]] = []
    for one in listed:
        stem = _stem(one.path)
        key = by_path.get(stem) or by_name.get(stem.rpartition("/")[2])
        if key is None:
            missing.append((one.path, f"named by {one.file}, but not there"))
            continue
        labels[key] = one.path.partition("/")[0]
        if one.part is not None:
            parts[key] = one.part
    if not parts:
        raise NotListed(
            f"the lists of {where} name none of the {len(keys)} videos (such as {keys[0]}); they name "
            f"{listed[0].path if listed else 'nothing'}"
        )
    return OfficialSplit(
        name=f"official split {number} of {len(numbers)} (--split-number)",
        parts=parts,
        labels=labels,
        classes=_classes(texts),
        missing=missing[:MOST_LISTED],
        listed=len(listed),
        lost=len(missing),
    )


def _ucf(texts: Mapping[str, str], number: int) -> Iterator[_Listed]:
    for name, text in sorted(texts.items()):
        match = UCF_LIST.fullmatch(name)
        if match and int(match[2]) == number:
            part: Given = "train" if match[1].lower() == "train" else "test"
            for line in _lines(text):
                path = re.sub(r"\s+\d+$", "", line).replace("\\", "/")
                if "/" not in path:
                    raise ValueError(f"{name} must have lines such as Archery/v_Archery_g08_c01.avi 3, got {line!r}")
                yield _Listed(path, part, name)


def _hmdb(texts: Mapping[str, str], number: int) -> Iterator[_Listed]:
    for name, text in sorted(texts.items()):
        match = HMDB_LIST.fullmatch(name)
        if match and int(match[2]) == number:
            for line in _lines(text):
                video, _, part = line.rpartition(" ")
                if part not in _HMDB_PARTS:
                    raise ValueError(f"{name} must have lines such as name.avi 1 (or 2 or 0), got {line!r}")
                yield _Listed(f"{match[1]}/{video.strip()}", _HMDB_PARTS[part], name)


def _classes(texts: Mapping[str, str]) -> tuple[str, ...]:
    text = next((text for name, text in texts.items() if UCF_CLASSES.fullmatch(name)), "")
    numbered = [line.partition(" ") for line in _lines(text)]
    return (
        tuple(name.strip() for number, _, name in sorted(numbered, key=lambda row: int(row[0])))
        if all(number.isdecimal() for number, _, _ in numbered)
        else ()
    )


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _places(keys: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Keys by the last folder and the name, and by a name that no two share; without endings of videos."""
    by_path: dict[str, str] = {}
    by_name: dict[str, str] = {}
    twice: set[str] = set()
    for key in keys:
        stem = _stem(key)
        by_path["/".join(stem.split("/")[-2:])] = key
        name = stem.rpartition("/")[2]
        twice |= {name} & by_name.keys()
        by_name[name] = key
    return by_path, {name: key for name, key in by_name.items() if name not in twice}


def _stem(path: str) -> str:
    return PurePosixPath(path).with_suffix("").as_posix() if is_video(path) else path
