"""Linear classifiers on frozen stages by stochastic gradient descent, with the schedules of published tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Generator, Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How a table's classifiers were trained.

    Attributes:
        epochs: passes over the training samples.
        drops: (epoch, factor of the first learning rate from then on), in order.
        decays: the learning rate is lr / sqrt(1 + lr * weight_decay * step) instead.
        normalises: features pass a batch normalisation without scale and shift.
    """

    epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    nesterov: bool
    normalises: bool
    drops: tuple[tuple[int, float], ...] = ()
    decays: bool = False

    def lr_at(self, epoch: float, steps_per_epoch: int) -> float:
        """The learning rate after `epoch` passes."""
        if self.decays:
            return self.lr / math.sqrt(1 + self.lr * self.weight_decay * epoch * steps_per_epoch)
        return self.lr * next((factor for begin, factor in reversed(self.drops) if epoch >= begin), 1.0)


SCHEDULES = {
    # Gidaris et al., ICLR 2018: config/ImageNet_LinearClassifiers_ImageNet_RotNet_AlexNet_Features.py of their code.
    "rotnet": Schedule(
        epochs=35,
        batch_size=192,
        lr=0.01,
        weight_decay=5e-4,
        nesterov=True,
        normalises=True,
        drops=((5, 0.2), (15, 0.04), (25, 0.008)),
    ),
    # Caron et al., ECCV 2018: eval_linear.py of their code with its default weight decay.
    "deepcluster": Schedule(
        epochs=90, batch_size=256, lr=0.01, weight_decay=1e-4, nesterov=False, normalises=False, decays=True
    ),
    # Goyal et al., ICCV 2019: imagenet_linear_tune/alexnet_jigsaw_finetune_linear.yaml of their benchmark, whose
    # 140,000 steps of 256 are 28 epochs of ImageNet and 40,000 steps are 8.
    "fair": Schedule(
        epochs=28,
        batch_size=256,
        lr=0.01,
        weight_decay=5e-4,
        nesterov=False,
        normalises=True,
        drops=((8, 0.1), (16, 0.01), (24, 0.001)),
    ),
}


class StageClassifier(nn.Module):
    """Features (N, d) -> class scores (N, K): batch normalisation without scale and shift where asked, one layer."""

    def __init__(self, width: int, num_classes: int, *, normalises: bool, rng: Generator) -> None:
        super().__init__()
        # Averaged over all steps: frozen features do not drift, and short schedules need no time to warm up.
        self.norm = nn.BatchNorm1d(width, affine=False, momentum=None) if normalises else nn.Identity()
        self.weight = nn.Parameter(0.01 * torch.randn(num_classes, width, generator=rng))
        self.bias = nn.Parameter(torch.zeros(num_classes))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(self.norm(x), self.weight, self.bias)

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """(N, d) -> class index (N,)."""
        found: Tensor = self(x).argmax(1)
        return found

    @property
    def diverged(self) -> bool:
        """Whether training left the numbers a computer has."""
        return not bool(torch.isfinite(self.weight).all())


def fit_by_sgd(
    features: Mapping[str, NDArray[np.float16]],
    labels: NDArray[np.int64],
    num_classes: int,
    schedule: Schedule,
    *,
    epoch_scale: float,
    rng: Generator,
    device: torch.device,
) -> dict[str, StageClassifier]:
    """One classifier for each stage, all trained on the same batches; their losses are added, so none sees another.

    Args:
        features: {stage: (N, d)} of the training samples.
        labels: (N,) class indices.
        epoch_scale: factor on the schedule's epochs, its drops included.
        rng: on the CPU; draws the first weights and the order of the samples.
    """
    classifiers = {
        name: StageClassifier(values.shape[1], num_classes, normalises=schedule.normalises, rng=rng).to(device)
        for name, values in features.items()
    }
    optimizer = torch.optim.SGD(
        [parameter for classifier in classifiers.values() for parameter in classifier.parameters()],
        lr=schedule.lr,
        momentum=0.9,
        weight_decay=schedule.weight_decay,
        nesterov=schedule.nesterov,
    )
    batch_size = min(schedule.batch_size, len(labels))
    steps_per_epoch = len(labels) // batch_size
    order = torch.empty(0, dtype=torch.int64)
    for step in range(max(1, round(schedule.epochs * epoch_scale * steps_per_epoch))):
        if len(order) < batch_size:
            order = torch.randperm(len(labels), generator=rng)
        rows, order = order[:batch_size].numpy(), order[batch_size:]
        optimizer.param_groups[0]["lr"] = schedule.lr_at(step / steps_per_epoch / epoch_scale, steps_per_epoch)
        optimizer.zero_grad(set_to_none=True)
        expected = torch.from_numpy(labels[rows]).to(device)
        for name, classifier in classifiers.items():
            x = torch.from_numpy(features[name][rows]).to(device).float()
            F.cross_entropy(classifier(x), expected).backward()
        optimizer.step()
    return {name: classifier.eval() for name, classifier in classifiers.items()}
