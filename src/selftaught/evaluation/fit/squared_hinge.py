"""Linear support vector machines with squared hinge loss, many at once.

Each column c of a problem is a machine of its own, with signs y (N,) and costs a (N,) for the same rows x:

    minimise  |w|^2 / 2 + sum_i a_i max(0, 1 - y_i w . x_i)^2

LIBLINEAR's L2-regularised L2-loss SVM, where the bias is the weight of a constant 1 and regularised as well. Solved by
Newton steps whose linear systems conjugate gradients solve roughly (Keerthi & DeCoste, JMLR 6, 2005; Lin, Weng &
Keerthi, JMLR 9, 2008). All columns share each product with the rows, which is what makes it fast.

Why not scikit-learn's `LinearSVC`: docs/decisions/0005-libraries-measured.md.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

ROWS = 2048
"""Rows multiplied at once."""
WIDENED_GB = 3.0
"""Rows that take no more as float32 are widened once instead of in every product."""
NEWTON_STEPS = 50
CONJUGATE_STEPS = 100
HALVINGS = 20
SUFFICIENT = 1e-4
"""Share of the decrease promised by the slope that a step must bring (Armijo)."""


class UnitRows:
    """Rows (N, D) float16 scaled to unit length, as FAIR's benchmark has them, with a constant 1 appended."""

    def __init__(self, values: NDArray[np.float16], device: torch.device) -> None:
        self.device, self.width = device, values.shape[1] + 1
        widen = 4 * values.size <= WIDENED_GB * 1e9
        self._blocks = []
        self._lengths = []
        for start in range(0, len(values), ROWS):
            block = torch.from_numpy(values[start : start + ROWS]).to(device)
            self._lengths.append(block.float().norm(dim=1, keepdim=True) + 1e-5)
            self._blocks.append(block.float() if widen else block)

    def scores(self, weight: Tensor) -> Tensor:
        """Weights (D + 1, C) -> scores (N, C)."""
        return torch.cat(
            [
                block.float() @ weight[:-1] / length + weight[-1]
                for block, length in zip(self._blocks, self._lengths, strict=True)
            ]
        )

    def weigh(self, errors: Tensor) -> Tensor:
        """Sum of the rows, each times its error: (N, C) -> (D + 1, C)."""
        total = errors.new_zeros(self.width, errors.shape[1])
        for block, length, part in zip(self._blocks, self._lengths, errors.split(ROWS), strict=True):
            total[:-1].addmm_(block.float().T, part / length)
        total[-1] = errors.sum(0)
        return total

    def curve(self, direction: Tensor, curvature: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (N, C) of a direction (D + 1, C), and the rows weighed by scores x curvature (N, C), in one pass."""
        scores = torch.empty_like(curvature)
        total = torch.zeros_like(direction)
        start = 0
        for block, length in zip(self._blocks, self._lengths, strict=True):
            part, rows = slice(start, start + len(block)), block.float()
            scores[part] = rows @ direction[:-1] / length + direction[-1]
            errors = scores[part] * curvature[part]
            total[:-1].addmm_(rows.T, errors / length)
            total[-1] += errors.sum(0)
            start += len(block)
        return scores, total


@torch.no_grad()
def fit_svms(rows: UnitRows, signs: Tensor, costs: Tensor, tolerance: float = 1e-3) -> Tensor:
    """The weights (D + 1, C) of C machines, the last one the bias.

    Args:
        signs: (N, C) float32 of 1 and -1.
        costs: (N, C) float32, at least 0; rows of cost 0 are not seen.
        tolerance: a machine is done when its gradient is this much shorter than at w = 0.
    """
    weight = signs.new_zeros(rows.width, signs.shape[1])
    scores = torch.zeros_like(signs)
    start: Tensor | None = None
    live = torch.arange(signs.shape[1], device=signs.device)
    for _ in range(NEWTON_STEPS):
        y, a = signs[:, live], costs[:, live]
        margin = (1 - y * scores[:, live]).clamp(min=0)
        gradient = weight[:, live] - 2 * rows.weigh(a * y * margin)
        length = gradient.norm(dim=0)
        start = length.clamp(min=1e-12) if start is None else start
        left = length > tolerance * start[live]
        if not left.any():
            break
        live, y, a, gradient, length = live[left], y[:, left], a[:, left], gradient[:, left], length[left]
        curvature = 2 * a * (margin[:, left] > 0)
        rough = (length / start[live]).sqrt().clamp(max=0.1)
        step, along = _direction(rows, curvature, gradient, rough)
        size = _step_size(weight[:, live], scores[:, live], step, along, gradient, y, a)
        weight[:, live] += size * step
        scores[:, live] += size * along
    return weight


def _direction(rows: UnitRows, curvature: Tensor, gradient: Tensor, rough: Tensor) -> tuple[Tensor, Tensor]:
    """Newton's step (D + 1, C) to a relative residual of `rough` (C,), and the scores (N, C) it adds."""
    step, along = torch.zeros_like(gradient), torch.zeros_like(curvature)
    residual = -gradient
    search = residual.clone()
    squared = residual.square().sum(0)
    goal = rough.square() * squared
    for _ in range(CONJUGATE_STEPS):
        live = (squared > goal).nonzero()[:, 0]
        if not len(live):
            break
        p = search[:, live]
        scores, weighed = rows.curve(p, curvature[:, live])
        product = p + weighed
        size = squared[live] / (p * product).sum(0)
        step[:, live] += size * p
        along[:, live] += size * scores
        residual[:, live] -= size * product
        fresh = residual[:, live].square().sum(0)
        search[:, live] = residual[:, live] + fresh / squared[live] * p
        squared[live] = fresh
    return step, along


def _step_size(
    weight: Tensor, scores: Tensor, step: Tensor, along: Tensor, gradient: Tensor, y: Tensor, a: Tensor
) -> Tensor:
    """The largest of 1, 1/2, 1/4, ... for each column (C,) that lowers its loss enough."""

    def loss(size: Tensor) -> Tensor:
        hinge = (1 - y * (scores + size * along)).clamp(min=0)
        return (weight + size * step).square().sum(0) / 2 + (a * hinge.square()).sum(0)

    size = torch.ones_like(gradient[0])
    begin, slope = loss(torch.zeros_like(size)), (gradient * step).sum(0)
    for _ in range(HALVINGS):
        # Rounding of a loss near its end must not halve the step for ever.
        enough = loss(size) <= begin + SUFFICIENT * size * slope + 1e-6 * begin
        if enough.all():
            break
        size = torch.where(enough, size, size / 2)
    return size
