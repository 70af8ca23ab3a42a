"""Held-out samples of data with or without labels, as probes that need none read them."""

from __future__ import annotations

from dataclasses import dataclass

from selftaught.data.computed.with_maps import pack_with_maps
from selftaught.data.sources.base import Source
from selftaught.data.sources.value_range import with_range
from selftaught.data.store.parts import draw
from selftaught.data.store.samples import NothingReadable, Samples
from selftaught.evaluation.data.base import Asked, DataKind, EvaluationData


@dataclass(frozen=True, kw_only=True)
class Unlabelled(EvaluationData):
    """Held-out samples.

    `test.labels` and `test.classes` are None where there are none; they may be shown, but no metric is made from them.
    """

    test: Samples

    @property
    def identity(self) -> str:
        """Of the samples alone."""
        return self.test.fingerprint


def open_unlabelled(asked: Asked) -> Unlabelled:
    """The held-out part of any data: their own val or test part, else the share that a run on them does not learn from.

    That share is the run's, or a tenth where the run held nothing back.
    """
    source = asked.source("held_out")
    reading = with_range(asked.data, source)

    def packed(source: Source) -> Samples:
        return pack_with_maps(source, reading, asked.sampling, size=asked.size, title="packing held-out")

    try:
        return Unlabelled(test=packed(source))
    except NothingReadable:  # a run on them holds out others
        return Unlabelled(test=draw(packed(asked.source("train")), asked.held_out)[1])


UNLABELLED = DataKind(open=open_unlabelled, learns=False)
"""For probes whose `needs` are empty."""
