"""How a model is fitted to labels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from selftaught.core.ranges import Range, Settings
from selftaught.evaluation.fit.finetuning import FineTuning
from selftaught.evaluation.models.known import Known, Weighing

Method = Literal["auto", "linear", "finetune"]
PASSES = 30
"""Times that fine-tuning sees each label, within the limits of `STEPS`."""
STEPS = (100, 2000)
FEW_BATCH, MANY_BATCH = 32, 128
"""Images of a step below and from 1,000 labels on."""


@dataclass(frozen=True, kw_only=True)
class HowToFit(Settings):
    """What `fit` was asked for."""

    method: Method = "auto"
    """Method: a linear layer on the best frozen stage, fine-tuning, or the better of both."""
    class_weights: Weighing = "none"
    """Weights of the classes in the loss."""
    steps: Annotated[int | None, Range(least=1)] = None
    """Steps of fine-tuning."""
    batch_size: Annotated[int | None, Range(least=2)] = None
    """Images or clips per step of fine-tuning."""
    lr: Annotated[tuple[float, ...], Range(above=0)] = (0.01, 0.1)
    """Learning rates of fine-tuning to choose from."""
    seed: int = 0
    """Seed of the labels that are held back, and of fine-tuning."""

    @property
    def methods(self) -> tuple[str, ...]:
        """Those that are tried."""
        return ("linear", "finetune") if self.method == "auto" else (self.method,)

    def fine_tuning(self, known: Known, lr: tuple[float, ...] | None = None) -> FineTuning:
        """The recipe for so many labels."""
        count = len(known.labels)
        batch = self.batch_size or (FEW_BATCH if count < 1000 else MANY_BATCH)
        least, most = STEPS
        return FineTuning(
            from_stage="all",
            steps=self.steps or min(most, max(least, math.ceil(PASSES * count / batch))),
            batch_size=batch,
            lr=lr or self.lr,
            head_lr=0.02,
            weight_decay=1e-4,
            min_scale=0.3,
            class_weights=known.weights,
            flag="--lr",
        )
