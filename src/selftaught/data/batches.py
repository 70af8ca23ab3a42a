"""What the training loop needs of its data: the batch of a step, and what a checkpoint keeps of their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from selftaught.data.batch import Batch


class Batches(Protocol):
    """Endless training batches of one process: `Loader` reads samples by their numbers, `Stream` shards in order.

    Attributes:
        device: where the batches are.
    """

    device: torch.device

    @property
    def count(self) -> int:
        """Samples an epoch reads, over all processes; an estimate where they are not known before they are read."""
        ...

    @property
    def steps_per_epoch(self) -> float:
        """Steps in which every sample is read once."""
        ...

    @property
    def skipped(self) -> Sequence[tuple[str, str]]:
        """(path, reason) of what this process could not use so far."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes when the samples, or how they are read, do."""
        ...

    def batch(self, step: int) -> Batch:
        """This process's share of the global batch of `step`; steps are read one after the other."""
        ...

    def state(self, step: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What is needed to read `step` and all later ones in another process: tensors, and values JSON can hold."""
        ...

    def restore(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Read on as the one that gave this `state`; `values` may hold more than it gave."""
        ...

    def close(self) -> None:
        """Stop reading ahead."""
        ...
