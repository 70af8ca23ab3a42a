"""The features of all samples at once, for classifiers that need them in any order or many times."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from selftaught.core.names import unknown_name
from selftaught.data.store.samples import Samples
from selftaught.encoders.base import Encoder
from selftaught.features.reader import POOLED, Reader

MEMORY_GB = 4.0
"""Larger features are in an unnamed file on disk, which the system caches in memory if there is room."""


def chosen_stages(encoder: Encoder, stage: str) -> tuple[str, ...]:
    """The names that `--probe.stage` stands for: "all", "last", "pooled" or one of the encoder's stages."""
    meant = {"all": encoder.stages, "last": encoder.stages[-1:], POOLED: (POOLED,)}
    if stage not in meant and stage not in encoder.stages:
        raise ValueError(f"--probe.stage: {unknown_name('stage', stage, [*meant, *encoder.stages])}")
    return meant.get(stage, (stage,))


def stage_batches(
    reader: Reader, samples: Samples, *, stage: str, dims: int
) -> Iterator[tuple[dict[str, Tensor], NDArray[np.int64]]]:
    """({stage: (N, d) float32}, rows of `samples` (N,)) in order, of the stages that `stage` stands for.

    Each is pooled to about `dims` numbers; "pooled" is `encoder(x)`, whatever `dims` is.
    """
    names = chosen_stages(reader.encoder, stage)
    if names == (POOLED,):
        yield {POOLED: reader.pooled(samples).to(reader.device)}, np.arange(len(samples))
        return
    for features, rows in reader.batches(samples, dims):
        yield {name: features[name] for name in names}, rows


def read_stages(reader: Reader, samples: Samples, *, stage: str, dims: int) -> dict[str, NDArray[np.float16]]:
    """{stage: (M, d) float16} of all M samples in order; as `stage_batches`, and no less exact."""
    found: dict[str, NDArray[np.float16]] = {}
    for features, rows in stage_batches(reader, samples, stage=stage, dims=dims):
        if not found:
            widths = {name: values.shape[1] for name, values in features.items()}
            on_disk = 2 * len(samples) * sum(widths.values()) > MEMORY_GB * 1e9
            found = {name: _room((len(samples), width), on_disk, reader.cache) for name, width in widths.items()}
        for name, values in features.items():
            found[name][rows] = values.cpu().numpy()
    return found


def _room(shape: tuple[int, int], on_disk: bool, folder: Path | None) -> NDArray[np.float16]:
    if not on_disk:
        return np.empty(shape, np.float16)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:  # gone with the last reader, even one that is killed
        return np.memmap(file, np.float16, "w+", shape=shape)
