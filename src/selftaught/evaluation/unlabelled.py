"""Held-out samples as a probe is given them that needs no labels."""

from __future__ import annotations

from selftaught.core.config import RunConfig
from selftaught.data.sources.base import Source
from selftaught.data.sources.open import open_source
from selftaught.data.sources.value_range import with_range
from selftaught.data.store.open import pack
from selftaught.data.store.parts import draw
from selftaught.data.store.samples import NothingReadable, Samples
from selftaught.encoders.base import Encoder
from selftaught.evaluation.labelled import HELD_OUT
from selftaught.evaluation.probes.base import Unlabelled
from selftaught.features.encode import NEEDS, probe_sampling


def open_unlabelled(config: RunConfig, encoder: Encoder, data: str, *, download: bool = False) -> Unlabelled:
    """The held-out part of any data: their own val or test part, else the share that a run on them does not learn from.

    That share is `config.held_out`, or a tenth where the run held nothing back.
    """
    share = config.held_out or HELD_OUT

    def opened(split: str) -> Source:
        needs = NEEDS[encoder.kind]
        return open_source(data, split=split, needs=needs, download=download, seed=0, held_out=share)

    def packed(source: Source) -> Samples:
        return pack(source, config, probe_sampling(encoder), title="packing held-out")

    source = opened("held_out")
    config = with_range(config, source)
    try:
        return Unlabelled(test=packed(source))
    except NothingReadable:  # a run on them holds out others
        return Unlabelled(test=draw(packed(opened("train")), share)[1])
