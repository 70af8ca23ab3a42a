"""An encoder and a linear layer trained on labels, at a learning rate that held-back training samples choose."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from selftaught.core.precision import channels_last
from selftaught.core.randomness import numpy_generator
from selftaught.data.store.samples import Samples
from selftaught.data.store.subset import Subset
from selftaught.encoders.base import Encoder
from selftaught.encoders.trimmed_convolutions import trim_kernels
from selftaught.evaluation.fit.classifier import Classifier, DivergedError, Recipe, fit, predict
from selftaught.evaluation.fit.freezing import freeze_before
from selftaught.features.reader import Reader

MOST_HELD_BACK = 10_000
"""Samples that are enough to choose a learning rate by."""


@dataclass(frozen=True, kw_only=True)
class FineTuning:
    """How to train: see the settings of the probe `finetune`.

    Attributes:
        class_weights: of the loss, one for each class; None counts every sample alike.
        flag: what sets the learning rates, for messages.
    """

    from_stage: str
    steps: int
    batch_size: int
    lr: tuple[float, ...]
    head_lr: float
    weight_decay: float
    min_scale: float
    class_weights: tuple[float, ...] | None = None
    flag: str = "--probe.lr"


@dataclass(frozen=True, kw_only=True)
class FineTuned:
    """The trained network, and how it was trained, as `Score.more` has it."""

    network: Classifier
    more: dict[str, Any]


def fine_tune(reader: Reader, train: Samples, num_classes: int, how: FineTuning, *, seed: int) -> FineTuned:
    """Train a copy of the encoder on the training samples; from scratch, with no stage frozen, if it is random.

    `more` has the budget (steps, batch_size, epochs), frozen stages, whether it was trained from_scratch, the learning
    rate, what each rate reached on the held-back samples ("tried"), and train_accuracy in percent on the crops of the
    last tenth of the steps.
    """
    _check(reader.encoder, how.from_stage)
    devices = [reader.device] if reader.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):  # dropout draws from the global generator, seeded at every step
        lr, tried = _choose(reader, train, num_classes, how, seed)
        network, frozen = _start(reader, num_classes, how)
        try:
            train_accuracy = _fit(network, train, reader, how, lr, seed)
        except DivergedError:
            raise ValueError(_too_high([lr], how.flag)) from None
    more: dict[str, Any] = {
        "steps": how.steps,
        "batch_size": how.batch_size,
        "epochs": round(how.steps * how.batch_size / len(train), 2),
        "from_scratch": reader.is_random,
        "frozen": list(frozen),
        "lr": lr,
        "tried": tried,
        "train_accuracy": round(100 * train_accuracy, 3),
    }
    return FineTuned(network=network, more=more)


def _check(encoder: Encoder, stage: str) -> None:
    if stage not in ("all", *encoder.stages):
        raise ValueError(
            f"--probe.from-stage must be all or a stage of {encoder.name}, {', '.join(encoder.stages)}; got {stage!r}"
        )


def _start(reader: Reader, num_classes: int, how: FineTuning) -> tuple[Classifier, tuple[str, ...]]:
    """A fresh copy of the encoder with a head, and the names of the stages that are frozen in it."""
    encoder = copy.deepcopy(reader.encoder).to(reader.device).requires_grad_(True)
    trim_kernels(encoder)
    stage = how.from_stage
    frozen = () if reader.is_random or stage == "all" else freeze_before(encoder, stage, reader.size)
    network = Classifier(encoder, num_classes, reader.precision).to(reader.device)
    return channels_last(network), frozen


def _fit(network: Classifier, samples: Samples, reader: Reader, how: FineTuning, lr: float, seed: int) -> float:
    recipe = Recipe(
        steps=how.steps,
        batch_size=how.batch_size,
        lr=lr,
        head_lr=how.head_lr,
        weight_decay=how.weight_decay,
        min_scale=how.min_scale,
        class_weights=how.class_weights,
    )
    return fit(network, samples, recipe, size=reader.size, device=reader.device, seed=seed)


def _choose(
    reader: Reader, train: Samples, num_classes: int, how: FineTuning, seed: int
) -> tuple[float, list[dict[str, float | None]]]:
    """The learning rate that is best on held-back training samples, and what each reached there.

    By accuracy; cross entropy decides where that is equal, as it often is on few samples.
    """
    assert train.labels is not None
    held = held_back_by_class(train.labels, seed)
    rates = how.lr
    if len(rates) == 1 or not held.any():
        return rates[0], []
    part, rest = (Subset(train, np.flatnonzero(chosen)) for chosen in (~held, held))
    tried: list[dict[str, float | None]] = []
    reached: list[tuple[float, float, float]] = []
    for lr in rates:
        network, _ = _start(reader, num_classes, how)
        try:
            _fit(network, part, reader, how, lr, seed)
        except DivergedError:
            tried.append({"lr": lr, "accuracy": None, "loss": None})
            continue
        accuracy, loss = _judge(network, rest, reader)
        tried.append({"lr": lr, "accuracy": accuracy, "loss": loss})
        reached.append((accuracy, -loss, lr))
    if not reached:
        raise ValueError(_too_high(rates, how.flag))
    return max(reached)[2], tried


def held_back_by_class(labels: NDArray[np.int64], seed: int) -> NDArray[np.bool_]:
    """Validation samples (N,): a fifth of every class below 2,000 samples and a tenth above, drawn by `seed`.

    A class with two samples or more gives at least one and keeps at least one; a class with one sample keeps it. Never
    more than about 10,000 in all.
    """
    share = min(0.2 if len(labels) < 2000 else 0.1, MOST_HELD_BACK / max(1, len(labels)))
    rng = numpy_generator(seed, "held back")
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        held[members[: min(len(members) - 1, max(1, round(share * len(members))))]] = True
    return held


def _judge(network: Classifier, samples: Samples, reader: Reader) -> tuple[float, float]:
    """Accuracy in percent and cross entropy."""
    assert samples.labels is not None
    logits, labels = predict(network, samples, reader), torch.from_numpy(samples.labels)
    accuracy = 100 * (logits.argmax(1) == labels).double().mean()
    return round(float(accuracy), 3), round(float(F.cross_entropy(logits, labels)), 4)


def _numbers(values: tuple[float, ...] | list[float]) -> str:
    return ", ".join(f"{value:g}" for value in values) or "none"


def _too_high(rates: tuple[float, ...] | list[float], flag: str) -> str:
    return f"fine-tuning diverged with {flag} {_numbers(rates)}; give a lower one, such as {min(rates) / 10:g}"
