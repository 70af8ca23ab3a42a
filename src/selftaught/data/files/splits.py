"""Which entries belong to "train", "held_out" and "test": the data's own splits, else a seeded share."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence, Set
from functools import lru_cache
from types import MappingProxyType
from typing import Literal, get_args

Split = Literal["train", "held_out", "test"]
Given = Literal["train", "val", "test", "unlabelled"]

_NAMES: dict[str, Given] = {
    "train": "train", "training": "train", "trainval": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
    "unlabelled": "unlabelled", "unlabeled": "unlabelled",
}  # fmt: skip
_PREFERRED: dict[str, tuple[Given, ...]] = {"held_out": ("val", "test"), "test": ("test", "val")}


class EmptyPart(ValueError):  # noqa: N818 - reads as what is the case
    """No sample belongs to a part of the data."""

    def __init__(self, where: str, count: int, split: str, noun: str, which: str = "") -> None:
        many = f"only one {noun}{which}" if count == 1 else f"{count} {noun}s{which}"
        super().__init__(
            f"{where} holds {many}, and none in the {split.replace('_', '-')} part; add some or give other data"
        )


@lru_cache(maxsize=4096)  # a data set has few folder names and many files
def given_split(name: str) -> Given | None:
    """The split a folder, file stem or column value names (`train2017`, `valid`, `test-00000-of-00001`), or None."""
    match = re.match(r"([a-z]+)(?:\d{4})?(?:[-_.]\d.*)?$", name.lower())
    return _NAMES.get(match[1]) if match else None


def choose_split(
    keys: Sequence[str],
    given: Mapping[str, str] | None,
    *,
    split: str,
    seed: int,
    held_out: float,
    labelled_only: bool = False,
    groups: Mapping[str, str] = MappingProxyType({}),
) -> list[int]:
    """Positions in `keys` that belong to `split`, in order.

    Args:
        keys: unique names of the entries.
        given: split of each key as the data name it (val, valid, ... are understood); a key it lacks is in no split.
            Used when it has a train part and a val or test part; held_out is val, else test; test is test, else val.
        split: "train", "held_out" or "test".
        seed: of the share drawn where the data have no splits; the draw of one key depends on no other key.
        held_out: that share, in [0, 1).
        labelled_only: leave out a part named "unlabelled", which otherwise belongs to train.
        groups: of the keys that belong together; a share is drawn of whole groups.
    """
    if split not in get_args(Split):
        raise ValueError(f"split must be one of {', '.join(get_args(Split))}, got {split!r}")
    parts = [given_split(given.get(key, "")) for key in keys] if given else []
    present = set(parts)
    own = _own_part(present, split)
    if not {"train", "unlabelled"} & present:
        return _seeded_share(keys, list(range(len(keys))), groups, split=split, seed=seed, held_out=held_out)
    trains: set[Given | None] = {"train"} if labelled_only and "train" in present else {"train", "unlabelled"}
    pool = [i for i, part in enumerate(parts) if part in trains]
    if own == "train":
        return pool
    if own:
        return [i for i, part in enumerate(parts) if part == own]
    return _seeded_share(keys, pool, groups, split=split, seed=seed, held_out=held_out)


def own_part(keys: Sequence[str], given: Mapping[str, str] | None, split: str) -> str:
    """The data's own name of what `choose_split` chooses for `split`; "" where it draws a share."""
    return _own_part({given_split(name) for name in {given.get(key, "") for key in keys}} if given else set(), split)


def told(part: str, *, seed: int, test: int, train: int) -> str:
    """Origin of a test part, as text for a result; `part` as from `own_part`, numbers of samples."""
    return f"the data's own {part} part" if part else f"{test} of {test + train} samples, drawn by seed {seed}"


def _own_part(present: Set[Given | None], split: str) -> str:
    tests = {"val", "test"} & present
    if not ({"train", "unlabelled"} & present and tests):
        return ""
    return "train" if split == "train" else next(part for part in _PREFERRED[split] if part in tests)


def _seeded_share(
    keys: Sequence[str], pool: list[int], groups: Mapping[str, str], *, split: str, seed: int, held_out: float
) -> list[int]:
    if held_out <= 0:
        if split != "train":
            raise ValueError(
                f"the data have no val or test split and --held-out is {held_out}, so there is no "
                f"{split.replace('_', '-')} part; set --held-out above 0"
            )
        return pool
    names = [groups.get(keys[i]) or keys[i] for i in pool]
    draws = {name: uniform(seed, name) for name in names}
    held = {name for name, draw in draws.items() if draw < held_out}
    # A dozen videos may all fall on one side; each side keeps at least one where there are two, training a single one.
    if not held and len(draws) > 1:
        held = {min(draws, key=draws.__getitem__)}
    elif draws and len(held) == len(draws):
        held.discard(max(draws, key=draws.__getitem__))
    return [i for i, name in zip(pool, names, strict=True) if (name in held) != (split == "train")]


def uniform(seed: int, key: str) -> float:
    """In [0, 1), from the seed and the key alone, so that added files move no other file to another split."""
    hashed = hashlib.blake2b(f"{seed}:{key}".encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(hashed, "big") / 2**64
