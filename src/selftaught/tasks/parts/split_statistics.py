"""Statistics of batch normalisation over parts of a batch, so that they do not mark it."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


class SplitStatistics(TorchFunctionMode):
    """Within it, batch normalisation in training takes its statistics over equal parts of the rows, each by itself.

    Running means and variances become those of the parts, averaged.
    """

    def __init__(self, parts: int) -> None:
        super().__init__()
        self.parts = parts

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not F.batch_norm or self.parts == 1:
            return func(*args, **(kwargs or {}))
        return self._batch_norm(*args, **(kwargs or {}))

    def _batch_norm(
        self,
        input: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        state = (running_mean, running_var, weight, bias, training)
        if not training:
            return F.batch_norm(input, *state, momentum, eps)
        return torch.cat(
            [F.batch_norm(rows, *state, momentum / self.parts, eps) for rows in input.tensor_split(self.parts)]
        )
