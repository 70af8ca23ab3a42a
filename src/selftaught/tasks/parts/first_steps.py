"""Whether a step is one of the first share of a run."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FirstSteps(nn.Module):
    """The first `share` of a run's steps, known once the first one is done.

    The number of steps is a buffer, so that a resumed run has it, and a plain number, so that no step waits for the
    device.
    """

    until: Tensor

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.register_buffer("until", torch.tensor(-1))
        self._known: int | None = None

    def has(self, step: int) -> bool | None:
        """Whether `step` is one of them; None before that is known."""
        if self._known is None:
            self._known = int(self.until)
        return None if self._known < 0 else step < self._known

    def after_step(self, total: int) -> None:
        """Call after every step with the total number of steps."""
        if self._known is None or self._known < 0:
            # The last step is never one of them: what comes after them is to happen in a short run, too.
            self._known = max(1, min(round(self.share * total), total - 1))
            self.until.fill_(self._known)
