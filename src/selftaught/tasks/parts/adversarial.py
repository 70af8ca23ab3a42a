"""Losses of both players, gradient penalty and batch normalisation of adversarial tasks."""

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
from selftaught.tasks.parts.losses import discriminator_bce, generator_bce

GRID = 16
"""Images in a grid of samples."""

Objective = Literal["dcgan", "wgan_gp", "hinge"]


def players_of_game(weight: float) -> Mapping[str, tuple[str, ...]]:
    """Players of a task with `discriminator`, `encoder` and `head`; none where the adversarial loss has no weight."""
    return {"discriminator": ("discriminator",), "generator": ("encoder", "head")} if weight else {}


def recipe_of_game(recipe: Recipe, weight: float) -> Recipe:
    """Only the paper's optimiser for adversarial training; all if the adversarial loss has no weight."""
    return dataclasses.replace(recipe, others={}) if weight else recipe


def discriminator_loss(objective: Objective, real: Tensor, made: Tensor) -> Tensor:
    """Loss of the discriminator for its scores (N,) of real and generated images; higher scores mean real.

    dcgan: cross entropy (Goodfellow et al. 2014). wgan_gp: the critic's difference, without the penalty (Gulrajani et
    al. 2017, eq. 3). hinge: a margin of 1 on either side (Lim & Ye 2017; Miyato et al. 2018, eq. 16).
    """
    real, made = real.float(), made.float()
    if objective == "dcgan":
        return discriminator_bce(real, made)[0]
    if objective == "hinge":
        return F.relu(1 - real).mean() + F.relu(1 + made).mean()
    return made.mean() - real.mean()


def generator_loss(objective: Objective, made: Tensor) -> Tensor:
    """Loss of the generator for the scores (N,) of its images: -log D for dcgan, else their negative mean."""
    return generator_bce(made) if objective == "dcgan" else -made.float().mean()


def gradient_lengths(score: Callable[[Tensor], Tensor], real: Tensor, made: Tensor, mix: Tensor) -> Tensor:
    """Lengths (N,) of the score's gradient at a random point between each real and generated image (N, C, H, W).

    mix (N,) in [0, 1] is the share of the real one. Computed in full precision, also under autocast, and also where
    gradients are off, then without a graph. A score must not depend on the other images of the batch, else the
    gradient of the sum is not that of each: batch normalisation has to take its `running_statistics`.
    """
    has_graph = torch.is_grad_enabled()
    # In mixed precision real images have fewer bits than generated ones.
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
    """Inside this context, batch normalisation in training uses the batch's statistics but does not record them.

    So the running statistics, which the encoder keeps, are those of real images only.
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
    """Inside this context, batch normalisation uses its running statistics, as in evaluation."""
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm) and m.training]
    for norm in norms:
        norm.eval()
    try:
        yield
    finally:
        for norm in norms:
            norm.train()


def grids(real: Tensor, made: Tensor) -> Shown:
    """Real and generated images (N, 3, S, S) in [0, 1], a grid of each."""
    first, second = (make_grid(pictures[:GRID], nrow=4, pad_value=1.0) for pictures in (real, made))
    return Shown(inputs=[first], pseudo_label="real images; generated images on the right", prediction=second)
