"""Batches of shards that are read in order and never packed: memory stays the same however large the data are.

In epoch e the shards stand in an order drawn by (seed, e), of which process r of n reads every n-th, from the r-th on.
What comes is decoded ahead by threads and gathered in windows of a fixed number of steps; within a window samples are
shuffled by (seed, window). So a batch follows from seed and step for any number of threads, and to read on from a step
it is enough to know where its window begins: epoch, shard of that epoch, sample of that shard.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from selftaught.core.files import digest
from selftaught.core.randomness import numpy_generator
from selftaught.core.threads import give_way
from selftaught.data.batch import Batch
from selftaught.data.batches import Batches
from selftaught.data.files.left_out import MOST_LISTED
from selftaught.data.loader import to_device
from selftaught.data.passing_samples import Passed, PassingSamples
from selftaught.data.sources.shards import Shards
from selftaught.data.sources.tars.tar_stream import Kind, Passing, tar_samples
from selftaught.data.store.image_pack import reason

WINDOW_BYTES = 256 << 20
"""Decoded samples of one window take about so much; two are in memory, the next one while the current one is used."""
_RETRIES, _PAUSE = 4, 0.25
"""How often a broken connection is made again, the first time after so many seconds, then after twice as many."""
_KNOWN = 8
"""Windows whose beginning is remembered."""


class Position(NamedTuple):
    """Where the next sample of a process is: epoch, place in its shards of that epoch, sample in the shard."""

    epoch: int = 0
    place: int = 0
    sample: int = 0


Exchange = Callable[[Sequence[int]], Sequence[Sequence[int]]]
"""Called by all processes at once with as many numbers each; gives those of every process."""


@dataclass(frozen=True)
class _Window:
    number: int
    samples: list[Any]
    index: NDArray[np.int64]
    begin: Position
    end: Position


class _Item(NamedTuple):
    after: Position
    number: int
    key: str
    payload: Passing | Exception


def check_share(shards: Shards, world: int) -> None:
    """Refuse fewer shards than processes, of which each reads whole ones."""
    if len(shards) < world:
        raise ValueError(
            f"{shards.data} has {len(shards)} shard{'s' * (len(shards) != 1)} to train on, fewer than the {world} "
            "processes that read whole shards; give more shards, fewer --devices, or --stream never"
        )


class _EndOfEpoch(Exception):  # noqa: N818 - no error
    """Stands between two epochs, so that one without any sample does not turn for ever."""


@final
class Stream(Batches):
    """Endless training batches of one process, from shards.

    `Batch.index` is the number of the shard times 2^32 plus that of the sample in it.

    Args:
        shards: of the training part.
        passing: what is made of their samples.
        count: about how many they have; an epoch's length is known no better.
        batch_size: rows of a step, over all processes.
        seed: of the order of shards, the shuffling and the crops.
        device: where batches are wanted.
        rank: this process.
        world: processes.
        workers: decoding threads.
        exchange: where there are several processes.
        window: samples of one process that are shuffled together; None is as many as `WINDOW_BYTES` hold.

    Raises:
        ValueError: where there are fewer shards than processes, or a batch does not hold whole samples of each.
    """

    def __init__(
        self,
        shards: Shards,
        passing: PassingSamples,
        *,
        count: int,
        batch_size: int,
        seed: int,
        device: torch.device,
        rank: int = 0,
        world: int = 1,
        workers: int = 1,
        exchange: Exchange = lambda numbers: [numbers],
        window: int | None = None,
    ) -> None:
        check_share(shards, world)
        if batch_size % (passing.rows * world):
            raise ValueError(
                f"--batch-size {batch_size} must be a multiple of {passing.rows * world}: {passing.rows} rows of each "
                f"{passing.noun} on {world} devices"
            )
        self.shards, self.passing, self.seed = shards, passing, seed
        self.device, self.rank, self.world, self.workers = device, rank, world, workers
        self.batch_size, self._count, self._exchange = batch_size, count, exchange
        self._share = batch_size // world // passing.rows
        most = window or WINDOW_BYTES // passing.bytes
        self._steps = max(1, min(most, count // world) // self._share)
        self._starts: dict[int, list[Position]] = {0: [Position()] * world}
        self._current: _Window | None = None
        self._next: tuple[int, Future[_Window]] | None = None
        self._flow: tuple[Position, Iterator[tuple[_Item, Any]]] | None = None
        self._skipped: dict[str, str] = {}
        self._is_closed = False
        self._pace = 0.0
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="stream")
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="stream-decode", initializer=give_way)

    @property
    def count(self) -> int:
        """About how many samples an epoch reads."""
        return self._count

    @property
    def steps_per_epoch(self) -> float:
        """About how many steps read every sample once."""
        return self._count * self.passing.rows / self.batch_size

    @property
    def seconds_per_step(self) -> float:
        """In which the samples of a step are read and decoded, in the fastest window so far; 0 before the first."""
        return self._pace

    @property
    def steps_per_window(self) -> int:
        """Steps whose samples are shuffled together, of which the first waits for all."""
        return self._steps

    @property
    def skipped(self) -> Sequence[tuple[str, str]]:
        """(shard/member, reason) of what this process could not read so far; of very many the first ones."""
        return list(self._skipped.items())

    @property
    def fingerprint(self) -> str:
        """Changes when the shards, or how samples are decoded, do."""
        return digest([self.shards.fingerprint, *self.passing.stamps])

    def order(self, epoch: int) -> list[int]:
        """Numbers of the shards that this process reads in an epoch, in order."""
        order = numpy_generator(self.seed, "shards", epoch).permutation(len(self.shards))
        return [int(number) for number in order[self.rank :: self.world]]

    def batch(self, step: int) -> Batch:
        """This process's share of the global batch of `step`."""
        number, within = divmod(step, self._steps)
        held = self._window(number)
        shuffled = numpy_generator(self.seed, "window", number, self.rank).permutation(len(held.samples))
        rows = shuffled[within * self._share : (within + 1) * self._share]
        draws = numpy_generator(self.seed, "draws", step).random((self.batch_size, 3))
        share = draws[self.rank * self._share * self.passing.rows :]
        host = self.passing.rows_of([held.samples[row] for row in rows.tolist()], held.index[rows], share)
        return to_device(host, None, self.device, {})

    def state(self, step: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Where the window of `step` begins for every process, and what was skipped so far."""
        number = step // self._steps
        starts = self._starts[number]
        return {}, {
            "stream": {"window": number, "steps": self._steps, "starts": [list(start) for start in starts]}
            | {"skipped": [list(row) for row in self.skipped]}
        }

    def restore(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Begin at the window of a `state`."""
        kept = values.get("stream")
        if kept is None:
            raise ValueError("the run to resume did not read shards in order; resume it with --stream never")
        if len(kept["starts"]) != self.world:
            raise ValueError(
                f"the run read shards by {len(kept['starts'])} processes, not by {self.world}; resume as many"
            )
        self._steps = int(kept["steps"])
        self._starts[int(kept["window"])] = [Position(*map(int, start)) for start in kept["starts"]]
        self._skipped |= {str(key): str(why) for key, why in kept["skipped"]}

    def close(self) -> None:
        """Stop reading ahead."""
        self._is_closed = True
        self._reader.shutdown(wait=True, cancel_futures=True)
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _window(self, number: int) -> _Window:
        if self._current is not None and self._current.number == number:
            return self._current
        self._current = None  # its memory is free for the one after the next
        is_ready = self._next is not None and self._next[0] == number
        future = self._next[1] if is_ready and self._next else self._reader.submit(self._read_until, number)
        self._current = found = future.result()
        both = self._exchange([*found.begin, *found.end])
        self._starts[number] = [Position(*row[:3]) for row in both]
        self._starts[number + 1] = [Position(*row[3:]) for row in both]
        for old in sorted(self._starts)[1:-_KNOWN]:
            del self._starts[old]
        self._next = number + 1, self._reader.submit(self._read, number + 1, found.end)
        return found

    def _read_until(self, number: int) -> _Window:
        """A window whose beginning may not be known: read from the last one before it that is."""
        known = max(n for n in self._starts if n <= number)
        found = self._read(known, self._starts[known][self.rank])
        for n in range(known + 1, number + 1):
            found = self._read(n, found.end)
        return found

    def _read(self, number: int, begin: Position) -> _Window:
        if self._flow is None or self._flow[0] != begin:
            self._flow = begin, self._decoded(begin)
        samples, index, end, started = [], [], begin, time.monotonic()
        for item, sample in self._flow[1]:
            samples.append(sample)
            index.append(item.number)
            end = item.after
            if len(samples) == self._steps * self._share:
                break
        self._flow = end, self._flow[1]
        pace = (time.monotonic() - started) / self._steps
        self._pace = min(self._pace or pace, pace)
        return _Window(number, samples, np.array(index, np.int64), begin, end)

    def _decoded(self, begin: Position) -> Iterator[tuple[_Item, Any]]:
        """The readable samples from a position on, in order; threads decode the next ones meanwhile."""
        waiting: deque[tuple[_Item, Future[Passed]]] = deque()
        ends = 0
        for item in self._items(begin):
            waiting.append((item, self._pool.submit(self._decode, item)))
            if len(waiting) <= self.passing.ahead * self.workers:
                continue
            done, future = waiting.popleft()
            try:
                passed = future.result()
            except _EndOfEpoch:
                ends += 1
                if ends > 1:
                    raise self._nothing_readable() from None
            except (OSError, ValueError) as broken:
                self._list(done.key, reason(broken))
            else:
                ends = 0
                if passed.note:
                    self._list(done.key, passed.note)
                yield done, passed.sample

    def _list(self, key: str, why: str) -> None:
        if len(self._skipped) < MOST_LISTED:
            self._skipped.setdefault(key, why)

    def _decode(self, item: _Item) -> Passed:
        if isinstance(item.payload, Exception):
            raise item.payload
        return self.passing.decode(item.payload, (self.seed, "passing", item.after.epoch, item.number))

    def _nothing_readable(self) -> ValueError:
        first = "".join(f"; the first, {key}: {why}" for key, why in list(self._skipped.items())[:1])
        return ValueError(
            f"no {self.passing.noun} can be read in {len(self.order(0))} of the {len(self.shards)} training shards of "
            f"{self.shards.data}{first}; give shards of {self.passing.noun}s{self.passing.advice}"
        )

    def _items(self, at: Position) -> Iterator[_Item]:
        """All samples from a position on, without end."""
        epoch, place, sample = at
        while True:
            order = self.order(epoch)
            for here in range(place, len(order)):
                for number, key, payload in self._shard(order[here], sample):
                    if self._is_closed:
                        return
                    after = Position(epoch, here, number + 1)
                    yield _Item(after, (order[here] << 32) | number, key, payload)
                sample = 0
            epoch, place = epoch + 1, 0
            yield _Item(Position(epoch), -1, "", _EndOfEpoch())

    def _shard(self, shard: int, skip: int) -> Iterator[tuple[int, str, Passing | Exception]]:
        return shard_samples(self.shards, shard, skip, kind=self.passing.kind, is_closed=lambda: self._is_closed)


def shard_samples(
    shards: Shards,
    shard: int,
    skip: int = 0,
    *,
    kind: Kind = "image",
    is_closed: Callable[[], bool] = lambda: False,
    advice: str = "go on by --resume when it can",
) -> Iterator[tuple[int, str, Passing | Exception]]:
    """(number, key, payload) of the samples of a shard from `skip` on; a connection that breaks is made again.

    Raises:
        ValueError: with the `advice`, where it stays broken.
    """
    url, name = shards.urls[shard], shards.names[shard]
    tried = 0
    while True:
        try:
            for sample in tar_samples(url, skip=skip, kind=kind):
                yield skip, f"{name}/{sample.key}".rstrip("/"), sample.payload
                skip, tried = skip + 1, 0
            return
        except Exception as gone:
            if "://" not in url and isinstance(gone, OSError):
                yield skip, name, gone
                return
            tried += 1
            if tried > _RETRIES or is_closed() or "://" not in url:
                raise ValueError(f"{url} cannot be read any more ({gone or type(gone).__name__}); {advice}") from None
            time.sleep(_PAUSE * 2 ** (tried - 1))
