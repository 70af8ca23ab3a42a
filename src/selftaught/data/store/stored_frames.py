"""The frames of a store as programs read them: every item whole, in order, as the store holds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from selftaught.data.store.samples import Samples


@dataclass(frozen=True, kw_only=True)
class StoredFrames:
    """V items of one store: its videos, or its images as videos of one frame.

    Attributes:
        folder: of the store; its name is the store's key.
        data: the path or name the data were opened by.
        frames, height, width: (V,) int64; the size is in pixels, the shorter is the side of the store.
        times: (F,) seconds of all frames, item after item, each from its first frame.
        begin: (V,) seconds of each item's first frame by its own clock.
        box: (V, 4) top, left, height and width of what is kept of an item's raw frames; 0 where that is all.
        last: (F,) bool, whether a frame is the last one before a cut, before damage or of its item.
        read: the frames (H, W, 3) uint8 of an item, one after the other; fewer than `frames` only where the store
            holds an index alone and the file has changed since. May be called from several threads.
        some: of an item the frames of these numbers, without those that cannot be read any more; as `read`.
    """

    folder: Path
    data: str
    frames: NDArray[np.int64]
    times: NDArray[np.float64]
    begin: NDArray[np.float64]
    box: NDArray[np.int64]
    last: NDArray[np.bool_]
    height: NDArray[np.int64]
    width: NDArray[np.int64]
    read: Callable[[int], Iterator[NDArray[np.uint8]]]
    some: Callable[[int, Set[int]], Mapping[int, NDArray[np.uint8]]]

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def first(self) -> NDArray[np.int64]:
        """(V + 1,) number of each item's first frame when the frames of all items are counted on, then their sum."""
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(self.frames)])


@runtime_checkable
class ReadFromStore(Protocol):
    """Samples that are read from a store of images or videos."""

    @property
    def stored(self) -> StoredFrames:
        """What they are read from."""
        ...

    @property
    def item_of(self) -> NDArray[np.int64]:
        """(M,) int64, which item of `stored` each row is."""
        ...

    def frames_of(self, rows: NDArray[np.int64], draws: NDArray[np.float64], name: str) -> NDArray[np.int64]:
        """(N, T) int64, the numbers of the frames that `read` gives as the image or clip `name`; of an image T is 1."""
        ...


def stored_of(samples: Samples) -> tuple[StoredFrames, NDArray[np.int64]]:
    """The frames that samples are read from, and which item of them each row (M,) is; errors as of `from_store`."""
    known = from_store(samples)
    return known.stored, known.item_of


def from_store(samples: Samples) -> ReadFromStore:
    """The samples as what is read from a store.

    Raises:
        ValueError: where the samples are read from no store.
    """
    if not isinstance(samples, ReadFromStore):
        raise ValueError(
            "computed labels need a packed store, and these data have none; give a folder of images or videos"
        )
    return samples
