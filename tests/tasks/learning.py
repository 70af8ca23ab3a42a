"""Training of a task on synthetic images in seconds, without the loop."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from selftaught.core.randomness import generator
from selftaught.data.batch import Batch, Sampling
from selftaught.data.sources.open import open_source
from selftaught.data.store.open import open_samples
from selftaught.tasks.base import PretextTask
from selftaught.training.optimizers import build_optimizer
from selftaught.training.players import only_parameters_of


def synthetic_images(count: int, side: int, *, held_out: float = 0.1) -> Tensor:
    """The training part of `count` synthetic images, (N, 3, side, side) uint8."""
    source = open_source(
        f"synthetic:N={count},side={side}", split="train", needs=frozenset({"image"}), held_out=held_out
    )
    samples = open_samples(source, side=side, sampling=Sampling(), cache_limit_gb=1, workers=1)
    host = samples.read(np.arange(len(samples)), np.full((len(samples), 3), 0.5))
    return torch.from_numpy(host["image"]).permute(0, 3, 1, 2)


def train(model: PretextTask, images: Tensor, *, optimizer: str, lr: float, steps: int, batch_size: int) -> None:
    """Steps on batches of `images` (N, 3, H, W); the model is in evaluation mode afterwards."""
    update = build_optimizer(model, optimizer, lr, 0.0)
    for step in range(steps):
        rows = torch.randperm(len(images), generator=generator("rows", step))[:batch_size]
        example = model.pseudo_label(Batch(index=rows, inputs={"image": images[rows]}), generator("train", step))
        loss = model.loss(model(example), example)["loss"]
        update.zero_grad()
        loss.backward()
        update.step()
    model.eval()


def scalar_of(model: PretextTask, images: Tensor, name: str) -> float:
    """A scalar of the loss on images that it did not learn from."""
    example = model.pseudo_label(Batch(index=torch.arange(len(images)), inputs={"image": images}), generator("test"))
    with torch.no_grad():
        return float(model.loss(model(example), example)[name])


def check_players_move_alone(model: PretextTask, batch: Batch) -> None:
    """Every player's loss has a gradient for the player's own parameters, and for no others."""
    example = model.pseudo_label(batch, generator(0))
    for player, modules in model.players().items():
        with only_parameters_of(player, model):
            model.loss(model(example, player), example, player)["loss"].backward()
        moved = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
        assert moved == {name for name, _ in model.named_parameters() if name.split(".")[0] in modules}
        model.zero_grad()
