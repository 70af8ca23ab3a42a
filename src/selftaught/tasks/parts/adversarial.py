"""What adversarial games share: losses of both players, the gradient penalty, batch normalisation of made pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.batchnorm import _BatchNorm
from torchvision.utils import make_grid

from selftaught.tasks.base import Recipe, Shown
from selftaught.tasks.parts.losses import passing_as_real, telling_apart

GRID = 16
"""Pictures in a grid of samples."""

Objective = Literal["dcgan", "wgan_gp", "hinge"]


def players_of_game(weight: float) -> Mapping[str, tuple[str, ...]]:
    """Players of a task with `discriminator`, `encoder` and `head`; none where the adversarial loss has no weight."""
    return {"discriminator": ("discriminator",), "generator": ("encoder", "head")} if weight else {}


def recipe_of_game(recipe: Recipe, weight: float) -> Recipe:
    """A game is played with the paper's optimiser alone; without weight for the adversarial loss there is no game."""
    return dataclasses.replace(recipe, others={}) if weight else recipe


def discriminator_loss(objective: Objective, real: Tensor, made: Tensor) -> Tensor:
    """What the discriminator pays for its scores (N,) of real and made pictures; higher scores say real.

    dcgan: cross entropy (Goodfellow et al. 2014). wgan_gp: the critic's difference, without the penalty (Gulrajani et
    al. 2017, eq. 3). hinge: a margin of 1 on either side (Lim & Ye 2017; Miyato et al. 2018, eq. 16).
    """
    real, made = real.float(), made.float()
    if objective == "dcgan":
        return telling_apart(real, made)[0]
    if objective == "hinge":
        return F.relu(1 - real).mean() + F.relu(1 + made).mean()
    return made.mean() - real.mean()


def generator_loss(objective: Objective, made: Tensor) -> Tensor:
    """What the generator pays for the scores (N,) of its pictures: -log D for dcgan, else their negative mean."""
    return passing_as_real(made) if objective == "dcgan" else -made.float().mean()


def gradient_lengths(score: Callable[[Tensor], Tensor], real: Tensor, made: Tensor, mix: Tensor) -> Tensor:
    """Lengths (N,) of the score's gradient at a random point between each real and made picture (N, C, H, W).

    mix (N,) in [0, 1] is the share of the real one. Computed in full precision, also under autocast, and also where
    gradients are off, then without a graph. A score must not depend on the other pictures of the batch, else the
    gradient of the sum is not that of each: batch normalisation has to take its `running_statistics`.
    """
    has_graph = torch.is_grad_enabled()
    # A loop in mixed precision hands over real pictures in fewer bits than the generator's.
    dtype = torch.promote_types(torch.promote_types(made.dtype, real.dtype), torch.float32)
    ends = (made.detach().to(dtype), real.detach().to(dtype))
    points = torch.lerp(*ends, mix.view(-1, 1, 1, 1).to(dtype)).requires_grad_()
    # Only the plain kernel of attention can be differentiated twice.
    with torch.enable_grad(), torch.autocast(real.device.type, enabled=False), sdpa_kernel(SDPBackend.MATH):
        (gradient,) = torch.autograd.grad(score(points).sum(), points, create_graph=has_graph)
    lengths: Tensor = gradient.flatten(1).norm(dim=1)
    return lengths


@contextmanager
def own_statistics(module: nn.Module) -> Iterator[None]:
    """Within, batch normalisation in training uses the batch's statistics but does not remember them.

    So what is remembered, and used when the encoder is kept, is of real pictures alone.
    """
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


@contextmanager
def running_statistics(module: nn.Module) -> Iterator[None]:
    """Within, batch normalisation uses what it remembers, as in evaluation."""
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm) and m.training]
    for norm in norms:
        norm.eval()
    try:
        yield
    finally:
        for norm in norms:
            norm.train()


def grids(real: Tensor, made: Tensor) -> Shown:
    """Real pictures (N, 3, S, S) in [0, 1] as one grid, and beside them made ones."""
    first, second = (make_grid(pictures[:GRID], nrow=4, pad_value=1.0) for pictures in (real, made))
    return Shown(inputs=[first], pseudo_label="real pictures; beside them made ones", prediction=second)
