"""What readable samples are: rows of a source, gathered from a packed file or decoded as they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from selftaught.data.batch import Sampling

Progress = Callable[[int, int], None]
"""Called with (done, total) while a store is packed."""


@dataclass(frozen=True, kw_only=True)
class HostBatch:
    """Samples on the host; `host["image"]` is the input of that name.

    Attributes:
        index: (N,) int64, the rows asked for.
        inputs: by name; images (N, side, side, 3) uint8 RGB, clips (N, T, side, side, 3) uint8 RGB, audio (N, S)
            float32 mono in [-1, 1].
        time: (N,) float32, seconds from the start of the video to the moment; None for images.
    """

    index: NDArray[np.int64]
    inputs: Mapping[str, NDArray[Any]]
    time: NDArray[np.float32] | None = None

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.inputs[name]

    def __contains__(self, name: object) -> bool:
        return name in self.inputs


class NothingReadable(ValueError):  # noqa: N818 - reads as what is the case
    """No sample of a source can be used; the text says why the first cannot.

    Attributes:
        skipped: (path, reason) of each.
    """

    def __init__(self, text: str, skipped: list[tuple[str, str]]) -> None:
        super().__init__(text)
        self.skipped = skipped


class Samples(Protocol):
    """The readable samples of a source, M of them, by row. `read` may be called from several threads.

    Attributes:
        side: pixels of the square images that `read` gives.
        labels: (M,) int64 class indices, -1 where one sample has none; None where no sample has one.
        classes: names of the class indices, or None.
        keys: M relative paths or row ids.
        skipped: (path, reason) of what could not be read.
        source_of: (M,) int64, index into the entries of the source.
        fingerprint: changes when the samples or how they are cut do; features are kept by it.
    """

    side: int
    fingerprint: str
    labels: NDArray[np.int64] | None
    classes: tuple[str, ...] | None
    skipped: list[tuple[str, str]]
    source_of: NDArray[np.int64]

    def __len__(self) -> int: ...

    @property
    def keys(self) -> Sequence[str]: ...

    def read(self, rows: NDArray[np.int64], draws: NDArray[np.float64]) -> HostBatch:
        """Rows as one batch.

        Args:
            rows: (N,) int64.
            draws: (N, 3 or more) float64 in [0, 1): position of the square window along y and x where the image is
                not square (0.5 is the middle), then the moment in the video, then what single inputs draw.
        """
        ...

    def spread(self, rows: NDArray[np.int64], draws: NDArray[np.float64], sampling: Sampling) -> NDArray[np.float64]:
        """Draws (N, D) that keep clips of one video `sampling.min_gap` seconds apart; as they are for images."""
        ...

    def eval_draws(self, count: int, clips: int) -> list[NDArray[np.float64]]:
        """Draws (count, D) of each deterministic view: `clips` evenly over a video, one at the centre of an image."""
        ...


def groups_of(samples: Samples) -> NDArray[np.int64] | None:
    """(M,) the number of the group of each sample; None where the data do not say which belong together."""
    groups: NDArray[np.int64] | None = getattr(samples, "groups", None)
    return groups


def notes_of(samples: Samples) -> tuple[str, ...]:
    """Sentences on what was found in the samples while they were packed."""
    return tuple(getattr(samples, "notes", ()))
