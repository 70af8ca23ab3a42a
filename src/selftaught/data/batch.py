"""What travels from a source to a task: how samples are cut (`Sampling`) and what one step gets (`Batch`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from selftaught.data.inputs import ANCHOR, Image, Input, check_inputs, listed

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Moments:
    """How many moments of one sample a batch holds; one of each by default."""

    clips_per_video: int = 1
    """Moments of one video, in neighbouring rows of a batch."""
    min_gap: float = 0.0
    """Least seconds between two moments of one video in a batch."""


@dataclass(frozen=True, kw_only=True)
class Sampling(Moments):
    """How samples are cut out of the data; the default is one image each."""

    inputs: Mapping[str, Input] = field(default_factory=lambda: {"image": Image()})

    def __post_init__(self) -> None:
        check_inputs(self.inputs)

    @property
    def draws(self) -> int:
        """Random numbers that cut one sample."""
        return ANCHOR + sum(one.draws for one in self.inputs.values())


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One step's samples on the device; `batch["image"]` is the input of that name.

    Attributes:
        index: (N,) int64, which sample of the data each row comes from.
        inputs: by the names that the task gives them; shapes as in `data.inputs`.
        time: (N,) float32, seconds from the start of the video to the moment; None for images.
    """

    index: Tensor
    inputs: Mapping[str, Tensor] = field(default_factory=dict)
    time: Tensor | None = None

    def __len__(self) -> int:
        return int(self.index.shape[0])

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.inputs:
            raise ValueError(f"the task reads input {name!r}, but is given {listed(self.inputs)}; name it in `inputs`")
        return self.inputs[name]

    def __contains__(self, name: object) -> bool:
        return name in self.inputs

    def using(self, **inputs: Tensor) -> Batch:
        """The batch with other tensors for some of its inputs."""
        return replace(self, inputs={**self.inputs, **inputs})

    def rows(self, rows: slice) -> Batch:
        """Some of its samples."""
        time = None if self.time is None else self.time[rows]
        return Batch(index=self.index[rows], time=time, inputs={name: one[rows] for name, one in self.inputs.items()})
