"""Held-out samples as a probe is given them that needs no labels."""

from __future__ import annotations

from selftaught.config import RunConfig
from selftaught.encode import NEEDS, probe_sampling
from selftaught.encoders.base import Encoder
from selftaught.labelled import HELD_OUT
from selftaught.prepare import pack
from selftaught.probes.base import Unlabelled
from selftaught.sources import open_source


def open_unlabelled(config: RunConfig, encoder: Encoder, data: str, *, download: bool = False) -> Unlabelled:
    """The held-out part of any data: their own val or test part, else the share that a run on them does not learn from.

    That share is `config.held_out`, or a tenth where the run held nothing back.
    """
    source = open_source(
        data,
        split="held_out",
        needs=NEEDS[encoder.kind],
        download=download,
        seed=0,
        held_out=config.held_out or HELD_OUT,
    )
    return Unlabelled(test=pack(source, config, probe_sampling(encoder), title="packing held-out"))
