"""What is embedded, in shards: a fixed number of packed samples each, or the images of a tar that is read in order.

A shard is computed in batches from its own beginning, so that its vectors are the same to the bit whichever process
computes it, and when.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import islice
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray

from selftaught.core.files import digest
from selftaught.core.settings.groups import DataSettings, Streaming
from selftaught.core.threads import give_way, usable_cores
from selftaught.data.files.file_tree import lost_files
from selftaught.data.loader import to_device
from selftaught.data.modality import MODALITIES
from selftaught.data.sources.shards import Shards, find_shards
from selftaught.data.sources.value_range import decoding_of, with_range
from selftaught.data.store.samples import Samples
from selftaught.data.store.subset import Subset
from selftaught.data.stream import shard_samples
from selftaught.evaluation.embed import label_names, packed_samples, split_sources
from selftaught.evaluation.query import CLIPS
from selftaught.evaluation.subject import Subject
from selftaught.evaluation.vectors.folder import Part
from selftaught.evaluation.vectors.tar_views import BATCH, ClipViews, ImageViews, SampleViews, stacked
from selftaught.features.encode import all_features, encode
from selftaught.training.streamed import exceeds_limit

SHARD_SIZE = 10_240
"""Samples of a file unless another number is asked for: a multiple of a batch."""


class Work(ABC):
    """Samples of one split of the data, in shards.

    Attributes:
        content: hex digest that changes when the data, or how they are read, do; known before anything is decoded.
        shard_size: samples of a shard; 0 where each is a tar.
        reading: how the data are read, with the range of values of deep images.
    """

    content: str
    shard_size: int
    reading: DataSettings

    @abstractmethod
    def __len__(self) -> int:
        """Number of shards."""

    @abstractmethod
    def shard(self, number: int, device: torch.device) -> Part:
        """The vectors of a shard."""


def open_work(
    subject: Subject,
    reading: DataSettings,
    *,
    split: str = "all",
    shard_size: int | None = None,
    stream: Streaming = "auto",
) -> Work:
    """The samples of a split as shards; tars are read in order where they are remote, compressed, or too many to pack.

    Raises:
        ValueError: where `stream` or `shard_size` asks for what cannot be.
    """
    if shard_size is not None and shard_size < 1:
        raise ValueError(f"--shard-size must be at least 1, got {shard_size}")
    shards = _streamed(subject, reading, stream)
    if shards is None:
        return Packed(subject, reading, split=split, shard_size=shard_size or SHARD_SIZE)
    if shard_size is not None:
        raise ValueError(
            f"--shard-size {shard_size} is for data that are packed, and the tars of {reading.path} are read in order, "
            "with one file each; leave it out, or give --stream never"
        )
    if split != "all":
        shards = shards.part(split, held_out=reading.held_out)
    return Tars(subject, reading, shards)


def _streamed(subject: Subject, reading: DataSettings, stream: Streaming) -> Shards | None:
    """The tars that are read in order; None where the data are packed, or no tars."""
    if stream == "never":
        return None
    needs = MODALITIES[subject.encoder.kind].needs
    shards = find_shards(reading.path)
    if shards is not None and shards.kind_for(needs) is None:
        if stream == "always":
            name = subject.encoder.name
            raise ValueError(
                f"{name} takes {' and '.join(sorted(needs))}, but the shards of {reading.path} hold no videos in their "
                "first samples; give shards of videos"
            )
        return None
    if stream == "always":
        if shards is None:
            raise ValueError(f"--stream always reads tar shards, and {reading.path} is none; leave it out")
        return shards
    if shards is None:
        return None
    size = subject.network.size
    is_large = shards.is_remote or shards.is_compressed or exceeds_limit(shards, reading, size, needs=needs)
    return shards if is_large else None


@final
class Packed(Work):
    """Samples of a packed store, or decoded as they are read; those of each part of the data begin a new shard."""

    def __init__(self, subject: Subject, reading: DataSettings, *, split: str, shard_size: int) -> None:
        self._subject, self._split, self.shard_size = subject, split, shard_size
        self._sources = split_sources(subject.encoder, reading, split)
        self.reading = with_range(reading, self._sources[0])
        known = [source.fingerprint for source in self._sources]
        self.content = digest([*known, decoding_of(self.reading).stamp, repr(reading.store_size)])

    @cached_property
    def _parts(self) -> list[Samples]:
        subject, size = self._subject, self._subject.network.size
        return [part for part, _ in packed_samples(subject.encoder, self._sources, self.reading, self._split, size)]

    @cached_property
    def _shards(self) -> list[tuple[Samples, NDArray[np.int64]]]:
        each = self.shard_size
        return [
            (part, np.arange(start, min(start + each, len(part))))
            for part in self._parts
            for start in range(0, len(part), each)
        ]

    @property
    def parts(self) -> list[Samples]:
        """The samples."""
        return self._parts

    def __len__(self) -> int:
        return len(self._shards)

    def shard(self, number: int, device: torch.device) -> Part:
        samples, rows = self._shards[number]
        chosen, network = Subset(samples, rows), self._subject.network
        how = {"size": network.size, "precision": self._subject.precision, "clips": CLIPS}
        vectors = all_features(self._subject.encoder, chosen, device=device, batch_size=BATCH, **how)  # type: ignore[arg-type]
        skipped = sorted({pair for part in self._parts for pair in part.skipped if lost_files([pair])})
        return Part(
            keys=chosen.keys,
            labels=label_names(chosen),
            vectors=vectors.numpy(),
            skipped=skipped if number == 0 else (),
        )


class Tars(Work):
    """Images or videos of tars, local or remote, each read once from front to back; nothing is packed.

    They have no labels. The vector of a video is the mean over `CLIPS` clips.
    """

    shard_size = 0

    def __init__(self, subject: Subject, reading: DataSettings, shards: Shards) -> None:
        self._subject, self.shards = subject, shards
        needs = MODALITIES[subject.encoder.kind].needs
        kind = shards.kind_for(needs) or "image"
        self._passing: SampleViews = (
            ClipViews(subject, reading, shards, kind)
            if kind in ("video", "still")
            else ImageViews(subject, reading, shards)
        )
        self.reading = self._passing.reading
        self.content = digest([shards.fingerprint, *self._passing.stamps])
        self._workers = reading.workers or usable_cores()

    @property
    def side(self) -> int:
        """Short side of decoded images and frames, pixels."""
        return self._passing.side

    def __len__(self) -> int:
        return len(self.shards)

    def shard(self, number: int, device: torch.device) -> Part:
        keys: list[str] = []
        vectors: list[torch.Tensor] = []
        skipped: list[tuple[str, str]] = []
        encoder, passing = self._subject.encoder.to(device).eval(), self._passing
        how = self._subject.network.size, self._subject.precision
        advice = "the same command goes on with the tars that are left"
        items = shard_samples(self.shards, number, kind=passing.kind, advice=advice)
        with ThreadPoolExecutor(self._workers, initializer=give_way) as pool:
            while group := list(islice(items, passing.at_once)):
                found = list(pool.map(passing.views_or_why, (payload for _, _, payload in group)))
                names = [key for _, key, _ in group]
                skipped += [(key, why) for key, why in zip(names, found, strict=True) if isinstance(why, str)]
                keys += [key for key, views in zip(names, found, strict=True) if not isinstance(views, str)]
                if good := [views for views in found if not isinstance(views, str)]:
                    each = [stacked(views) for views in zip(*good, strict=True)]
                    batches = (to_device(host, None, device, {}) for host in each)
                    vectors.append(torch.stack([encode(encoder, batch, *how) for batch in batches]).mean(0).cpu())
        rows = torch.cat(vectors).numpy() if vectors else np.empty((0, encoder.num_features), np.float32)
        return Part(keys=keys, labels=[None] * len(keys), vectors=rows, skipped=skipped)

    def images(self, number: int) -> Iterator[tuple[str, NDArray[np.uint8]]]:
        """(path, square image) of what can be read of a tar, in order; of a video its middle frame."""
        for _, key, payload in shard_samples(self.shards, number, kind=self._passing.kind):
            if not isinstance(image := self._passing.image_or_why(payload), str):
                yield key, image
