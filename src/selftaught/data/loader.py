"""Batches as a function of the step: which samples, where they are cut, and nothing that must be remembered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from selftaught.core.randomness import numpy_generator
from selftaught.data.batch import Batch, Sampling
from selftaught.data.batches import Batches
from selftaught.data.inputs import ANCHOR, Given, Input, has_channels
from selftaught.data.store.samples import HostBatch, Samples


@final
class Loader(Batches):
    """Endless training batches of one process, of samples that are known by their numbers.

    Step s of a global batch of B samples takes positions s B ... (s + 1) B - 1 of an endless sequence of
    shuffled epochs, and each process its own share; so a resumed run, or one with other threads, reads
    the same. The next batch is read while the current one is computed.
    """

    def __init__(
        self,
        samples: Samples,
        *,
        sampling: Sampling,
        batch_size: int,
        seed: int,
        device: torch.device,
        rank: int = 0,
        world: int = 1,
        limit: int | None = None,
    ) -> None:
        if batch_size % (sampling.clips_per_video * world):
            raise ValueError(
                f"--batch-size {batch_size} must be a multiple of {sampling.clips_per_video * world}: "
                f"{sampling.clips_per_video} clips of each video on {world} devices"
            )
        self.samples = samples
        self.sampling = sampling
        self.batch_size = batch_size
        self.seed = seed
        self.device = device
        self.rank = rank
        self.world = world
        chosen = numpy_generator(seed, "limit").permutation(len(samples))
        self._chosen = np.sort(chosen[:limit])
        self._order = lru_cache(maxsize=4)(self._shuffled)
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="loader")
        self._next: tuple[int, Future[HostBatch]] | None = None
        self._given: tuple[int, np.ndarray] | None = None

    @property
    def chosen(self) -> np.ndarray:
        """Numbers (M,) int64 of the samples the run reads, ascending."""
        return self._chosen

    @property
    def count(self) -> int:
        """Samples an epoch reads."""
        return len(self._chosen)

    @property
    def steps_per_epoch(self) -> float:
        """Steps in which every sample is read once."""
        return self.count * self.sampling.clips_per_video / self.batch_size

    @property
    def skipped(self) -> Sequence[tuple[str, str]]:
        """(path, reason) of what could not be read."""
        return self.samples.skipped

    @property
    def fingerprint(self) -> str:
        """That of the samples."""
        return self.samples.fingerprint

    def batch(self, step: int) -> Batch:
        """This process's share of the global batch of `step`."""
        is_ready = self._next is not None and self._next[0] == step
        host = self._next[1].result() if is_ready and self._next else self._read(step)
        self._next = (step + 1, self._reader.submit(self._read, step + 1))
        return to_device(host, self.samples, self.device, self.sampling.inputs)

    def follow(self, step: int, order: np.ndarray | None) -> None:
        """From `step` on, read the samples of `order` (K,) int64 one after the other, and again from its start.

        None goes back to the plain shuffle. What was read ahead is thrown away.
        """
        self._next = None
        self._given = None if order is None else (step, order)

    def state(self, step: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The order that `follow` was last given, and from which step on; a shuffle needs nothing."""
        if self._given is None:
            return {}, {}
        return {"order": torch.from_numpy(self._given[1])}, {"order_from": self._given[0]}

    def restore(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Follow the order of a `state`, where it has one."""
        if "order" in tensors:
            self.follow(values["order_from"], tensors["order"].numpy())

    def close(self) -> None:
        """Stop reading ahead."""
        self._reader.shutdown(wait=True, cancel_futures=True)

    def rows(self, step: int) -> np.ndarray:
        """Which samples the global batch of `step` takes; rows of one video are neighbours."""
        videos = self.batch_size // self.sampling.clips_per_video
        positions = np.arange(step * videos, (step + 1) * videos)
        given = self._given  # read once: the reading thread may be here while `follow` is called
        if given is not None and step >= given[0]:
            start, order = given
            return order[(positions - start * videos) % len(order)].repeat(self.sampling.clips_per_video)
        epochs = positions // len(self._chosen)
        rows = np.empty(videos, np.int64)
        for epoch in np.unique(epochs):
            here = epochs == epoch
            rows[here] = self._order(int(epoch))[positions[here] % len(self._chosen)]
        return rows.repeat(self.sampling.clips_per_video)

    def _read(self, step: int) -> HostBatch:
        rows = self.rows(step)
        draws = numpy_generator(self.seed, "draws", step).random((len(rows), ANCHOR))
        if own := self.sampling.draws - ANCHOR:
            more = numpy_generator(self.seed, "draws of inputs", step).random((len(rows), own))
            draws = np.concatenate([draws, more], 1)
        if self.sampling.clips_per_video > 1:
            draws = self.samples.spread(rows, draws, self.sampling)
        share = slice(self.rank * len(rows) // self.world, (self.rank + 1) * len(rows) // self.world)
        return self.samples.read(rows[share], draws[share])

    def _shuffled(self, epoch: int) -> np.ndarray:
        return self._chosen[numpy_generator(self.seed, "order", epoch).permutation(len(self._chosen))]


def ordered_batches(
    samples: Samples,
    *,
    sampling: Sampling,
    batch_size: int,
    device: torch.device,
    limit: int | None = None,
    rank: int = 0,
    world: int = 1,
) -> Iterator[Batch]:
    """Every sample once (the first `limit` of a fixed shuffle), cut at the centre; the held-out view.

    Clips start where a generator seeded by the batch says, the same in every run.
    """
    order = np.arange(len(samples))
    if limit is not None and limit < len(samples):
        order = np.sort(numpy_generator("held-out").permutation(len(samples))[:limit])
    per_step = max(1, batch_size // sampling.clips_per_video)
    order = order[rank::world]
    for number, start in enumerate(range(0, len(order), per_step)):
        rows = order[start : start + per_step].repeat(sampling.clips_per_video)
        draws = np.full((len(rows), sampling.draws), 0.5)
        draws[:, 2] = numpy_generator("clips", number).random(len(rows))
        if sampling.clips_per_video > 1:
            draws = samples.spread(rows, draws, sampling)
        yield to_device(samples.read(rows, draws), samples, device, sampling.inputs)


def to_device(host: HostBatch, samples: Samples | None, device: torch.device, inputs: Mapping[str, Input]) -> Batch:
    """A batch on the device, without a copy on the CPU: channels go before height and width.

    `samples` have the labels, where `inputs` name them.
    """

    def moved(array: np.ndarray) -> torch.Tensor:
        tensor = torch.from_numpy(array)
        return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)

    found = {name: moved(array) for name, array in host.inputs.items()}
    plain = {name for name, one in inputs.items() if isinstance(one, Given) and not has_channels(one)}
    found = {n: one.movedim(-1, -3) if one.ndim >= 4 and n not in plain else one for n, one in found.items()}
    for name, one in inputs.items():
        if isinstance(one, Given) and one.what == "label":
            assert samples is not None
            assert samples.labels is not None
            found[name] = moved(samples.labels[host.index])
    return Batch(index=moved(host.index), inputs=found, time=None if host.time is None else moved(host.time))
