"""Samples that come with maps or other inputs of their own, such as depth, instead of classes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from selftaught.core.progress import say_once
from selftaught.data.computed.with_maps import pack_with_maps
from selftaught.data.files.splits import told
from selftaught.data.sources.base import Source
from selftaught.data.sources.value_range import with_range
from selftaught.data.store.parts import open_halves
from selftaught.data.store.samples import Samples
from selftaught.data.store.subset import Subset
from selftaught.evaluation.data.base import Asked, DataKind, TwoParts


@dataclass(frozen=True, kw_only=True)
class Paired(TwoParts):
    """Training and test samples whose batches hold the inputs that the probe names, `batch["depth"]`.

    `classes` are those of the pixels where masks are needed.
    """

    train: Samples
    test: Samples

    def only(self, rows: NDArray[np.int64]) -> Paired:
        """The same data with these rows (K,) of the training samples."""
        return replace(self, train=Subset(self.train, rows))


def open_paired(asked: Asked) -> Paired:
    """Both parts of data with what the probe needs of each sample: their own test part, else a share drawn once."""
    sources = [asked.source(split) for split in ("train", "test")]
    reading = with_range(asked.data, sources[0])

    def packed(source: Source) -> Samples:
        title = "packing test" if source is sources[1] else "packing train"
        return pack_with_maps(source, reading, asked.sampling, size=asked.size, title=title)

    halves = open_halves(sources[0], sources[1], packed, share=asked.held_out)
    for note in halves.notes:
        say_once(note)
    part = "" if halves.notes else sources[1].part
    return Paired(
        train=halves.train,
        test=halves.held_out,
        classes=halves.train.classes or (),
        test_is=told(part, seed=0, test=len(halves.held_out), train=len(halves.train)),
        notes=halves.notes,
    )


PAIRED = DataKind(open=open_paired)
"""For probes that name what they need of each sample in `inputs`, such as `Given("depth")`."""
