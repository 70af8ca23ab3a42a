"""The parts of a data set as a run reads them: drawn from what can be read, and no larger than asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from selftaught.core.files import digest
from selftaught.core.randomness import numpy_generator
from selftaught.data.decode.image import Payload
from selftaught.data.files.splits import uniform
from selftaught.data.sources.base import GivenMaps, Source
from selftaught.data.store.samples import NothingReadable, Samples
from selftaught.data.store.subset import Subset

OpenPart = Callable[[Source], Samples]
"""Packs a source and opens it; raises `NothingReadable`."""
LEAST_SHARE = 0.1
"""Share that is held out where nothing of a part can be read and no share was asked for."""
LEAST_HELD_OUT = 64
"""Held-out samples that are looked at however small --limit is, where there are as many."""


@dataclass(frozen=True)
class Halves:
    """Training and held-out samples, the source of each, and what is to be said of how they were drawn."""

    train: Samples
    held_out: Samples
    sources: tuple[Source, Source]
    notes: tuple[str, ...] = ()


@final
class SomeEntries(Source):
    """The entries `rows` (M,) of another source, in this order."""

    def __init__(self, base: Source, rows: NDArray[np.int64]) -> None:
        self.name = base.name
        self.provides = base.provides
        self.classes = base.classes
        self.entries = [base.entries[i] for i in rows.tolist()]
        self.fingerprint = digest([base.fingerprint, hashlib.sha256(rows.tobytes()).hexdigest()])
        self.targets = None if base.targets is None else base.targets[rows]
        self.maps = {kind: _some_maps(maps, rows) for kind, maps in base.maps.items()}
        self.part = base.part
        self.skipped = base.skipped
        self.notes = base.notes
        self.left_out = base.left_out
        self.random_access = base.random_access
        self._base, self._rows = base, rows

    def read(self, i: int) -> Payload:
        return self._base.read(int(self._rows[i]))

    def iterate(self) -> Iterator[tuple[int, Payload | Exception]]:
        wanted = {int(row): i for i, row in enumerate(self._rows)}
        for row, payload in self._base.iterate():
            if row in wanted:
                yield wanted.pop(row), payload
            if not wanted:
                return


def _some_maps(maps: GivenMaps, rows: NDArray[np.int64]) -> GivenMaps:
    known = digest([maps.fingerprint, hashlib.sha256(rows.tobytes()).hexdigest()])
    return replace(
        maps,
        fingerprint=known,
        read=lambda i, second: maps.read(int(rows[i]), second),
        size=lambda i: maps.size(int(rows[i])),
    )


def open_some(source: Source, count: int | None, open_part: OpenPart, *, seed: int) -> Samples:
    """`count` readable samples chosen by `seed`, or all where there are no more; only about as many are decoded."""
    if count is None or count >= len(source):
        return open_part(source)
    order = numpy_generator(seed, "limit").permutation(len(source))
    taken = count
    while True:
        rows = np.sort(order[:taken])
        opened: Samples | None = None
        try:
            opened = open_part(SomeEntries(source, rows))
        except NothingReadable:
            if taken == len(source):
                raise
        readable = 0 if opened is None else len(opened)
        if opened is not None and (readable >= count or taken == len(source)):
            break
        # As many again as were missing, and some more, as they may be broken too.
        taken = min(len(source), taken + 2 * (count - readable) + 2)
    place = np.empty(len(source), np.int64)
    place[order] = np.arange(len(source))
    first = np.argsort(place[rows[opened.source_of]], kind="stable")[:count]
    return opened if readable <= count else Subset(opened, np.sort(first))


def open_halves(train: Source, held_out: Source, open_part: OpenPart, *, share: float) -> Halves:
    """Both halves; where nothing of one can be read, `share` of what can be read of the other takes its place.

    Raises:
        NothingReadable: where neither has a readable sample.
        ValueError: where there is only one.
    """
    opened: list[Samples | NothingReadable] = []
    for source in (train, held_out):
        try:
            opened.append(open_part(source))
        except NothingReadable as nothing:
            opened.append(nothing)
    first, second = opened
    if isinstance(first, NothingReadable):
        if isinstance(second, NothingReadable):
            raise first
        rest, drawn = draw(second, share)
        rest.skipped = first.skipped
        return Halves(rest, drawn, (held_out, held_out), _told(train, drawn, "training"))
    if isinstance(second, NothingReadable):
        rest, drawn = draw(first, share)
        drawn.skipped = second.skipped
        return Halves(rest, drawn, (train, train), _told(held_out, drawn, "held-out"))
    return Halves(first, second, (train, held_out))


def draw(samples: Samples, share: float) -> tuple[Subset, Subset]:
    """The samples without a share of them, and that share: at least one on each side, the same ones every time."""
    count = len(samples)
    if count < 2:
        raise ValueError(
            f"only one sample can be read ({samples.keys[0]}), but one to learn from and one to hold out are needed"
        )
    draws = np.array([uniform(0, key) for key in samples.keys])
    held = np.argsort(draws, kind="stable")[: min(count - 1, max(1, round(share * count)))]
    is_held = np.isin(np.arange(count), held)
    return Subset(samples, np.flatnonzero(~is_held)), Subset(samples, np.flatnonzero(is_held))


def _told(empty: Source, drawn: Samples, part: str) -> tuple[str]:
    many = f"none of the {len(empty)} {part} samples" if len(empty) > 1 else f"the only {part} sample cannot be read"
    many = many if len(empty) == 1 else f"{many} can be read"
    return (f"{many}; {len(drawn)} of the others are held out instead",)
