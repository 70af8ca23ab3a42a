"""The contract of a pretext task (see `docs/concepts.md`): pseudo-label, forward, loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import Generator, Tensor, nn

from selftaught.batch import Batch, Sampling
from selftaught.encoders.base import Encoder, Kind


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The optimisation a task's paper recommends, scaled to a global batch of 256."""

    optimizer: Literal["sgd", "adamw", "lars"] = "sgd"
    lr: float = 0.05
    """Learning rate at a global batch of 256 samples; scaled linearly with the batch."""
    weight_decay: float = 5e-4


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One sample as people should see it: pictures are (3, H, W) in [0, 1], the rest is text."""

    inputs: list[Tensor]
    pseudo_label: str | Tensor
    prediction: str | Tensor


class PretextTask(nn.Module, ABC):
    """A task makes its own labels and learns `encoder` by predicting them.

    A task is one final class in one file. Randomness comes only from the generator it is given.
    `Config` is a frozen, keyword-only dataclass of plain values; each field is followed by a
    docstring, which becomes the help of its `--task.<field>` flag.
    """

    needs: ClassVar[frozenset[str]]
    """Of "image", "video", "audio", "label": what a source must provide."""
    metric: ClassVar[str] = "accuracy"
    """Name of the scalar in `loss()` that held-out data are judged by; higher is better."""
    recipe: ClassVar[Recipe] = Recipe()
    encoder_kind: ClassVar[Kind] = "image"
    """What the encoder must take; a mismatch is an error before anything is read."""
    Config: ClassVar[type[Any]]

    encoder: Encoder

    @classmethod
    def sampling(cls, config: Any) -> Sampling:
        """How this task wants samples cut; images unless overridden."""
        return Sampling()

    @abstractmethod
    def chance(self, batch_size: int) -> float:
        """Value of `metric` without any knowledge, for a batch of `batch_size` samples."""

    @abstractmethod
    def pseudo_label(self, batch: Batch, rng: Generator) -> Any:
        """Make inputs and labels for the whole batch on its device, without gradient.

        The example is a plain dataclass of tensors, not a frozen one: Lightning Fabric rebuilds it for the precision.
        """

    @abstractmethod
    def forward(self, example: Any) -> Any:
        """Encoder, then head."""

    @abstractmethod
    def loss(self, prediction: Any, example: Any) -> dict[str, Tensor]:
        """ "loss" (scalar, with gradient) and further scalars under the names they are logged by."""

    @abstractmethod
    def show(self, example: Any, prediction: Any, count: int) -> list[Shown]:
        """The first `count` samples as pictures and text, for the report."""
