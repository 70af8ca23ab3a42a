"""Training an encoder from one stage on: earlier layers keep their weights and statistics."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from selftaught.encoders.base import Encoder

FRAMES = 16
"""Of the blank clip that shows what a stage of an encoder for clips depends on."""


def parameters_before(encoder: Encoder, stage: str, size: int) -> list[nn.Parameter]:
    """Every parameter that some stage before `stage` depends on.

    Found by following gradients back from the features of the stages before, so it holds for any network: position
    embeddings and class tokens of a transformer are among them, both halves of a split encoder, and the whole first
    stream where the stage is one of the second.

    Args:
        encoder: all of its parameters must require a gradient; nothing in it is changed.
        stage: one of `encoder.stages`.
        size: side of the square images in pixels.
    """
    index = encoder.stages.index(stage)
    if index == 0:
        return []
    parameters = list(encoder.parameters())
    mode = encoder.training
    encoder.eval()  # statistics of batch normalisation stay what they are
    with torch.enable_grad():
        frames = (FRAMES,) if encoder.kind == "video" else ()
        blank = torch.zeros(1, encoder.channels, *frames, size, size, device=parameters[0].device)
        stages = encoder.forward_stages(blank)
        total: Tensor = sum((stages[before].sum() for before in encoder.stages[:index]), blank.new_zeros(()))
        gradients = torch.autograd.grad(total, parameters, allow_unused=True)
    encoder.train(mode)
    return [p for p, gradient in zip(parameters, gradients, strict=True) if gradient is not None]


def freeze_before(encoder: Encoder, stage: str, size: int) -> tuple[str, ...]:
    """Take the gradient from all before `stage`, and give the names of those stages; see `train_unfrozen`."""
    encoder.requires_grad_(True)
    for parameter in parameters_before(encoder, stage, size):
        parameter.requires_grad_(False)
    return encoder.stages[: encoder.stages.index(stage)]


def train_unfrozen(network: nn.Module) -> None:
    """Training mode, but for the modules whose parameters are all frozen: no new statistics and no dropout there."""
    network.train()
    for module in network.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()
