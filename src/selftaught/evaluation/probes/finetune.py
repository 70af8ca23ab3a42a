"""Fine-tuning."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from selftaught.core.precision import channels_last
from selftaught.core.randomness import numpy_generator
from selftaught.core.ranges import Range, Settings
from selftaught.data.store.samples import Samples
from selftaught.data.store.subset import Subset
from selftaught.encoders.base import Encoder
from selftaught.encoders.names import Kind
from selftaught.encoders.trimmed_convolutions import trim_kernels
from selftaught.evaluation.data.labelled import Labelled
from selftaught.evaluation.fit.classifier import Classifier, DivergedError, Recipe, fit, predict
from selftaught.evaluation.fit.freezing import freeze_before
from selftaught.evaluation.probes.base import Probe, Score
from selftaught.evaluation.probes.best_stage import best_stage
from selftaught.features.reader import POOLED, Reader

MOST_HELD_BACK = 10_000
"""Samples that are enough to choose a learning rate by."""


class FineTune(Probe):
    """Fine-tune the encoder with labels, compared with training from scratch (Henaff et al., ICML 2020).

    The encoder and a linear layer on its pooled features are trained on the labels by SGD with momentum and a cosine
    schedule, with random-resized crops that are flipped half of the time. They are tested on the central square of
    images, or of ten clips per video. Stages before `from_stage` keep their weights and batch statistics. Random
    weights are trained from scratch with the same recipe and number of steps, but with no stage frozen, since frozen
    random stages would be an unfair comparison. The budget is in steps, so it is the same for every fraction of the
    labels. A short budget favours the pretrained encoder (He, Girshick and Dollar, ICCV 2019); the accuracy on training
    crops, which is also reported, shows whether it was too short.

    With several learning rates, each is tried on a part of the training samples and evaluated on the rest, and the best
    one is used on all of them, as in VTAB (Zhai et al. 2019: 800 and 200 of 1,000 labels); the test samples are not
    used for any choice. An encoder is therefore trained once more than there are rates. The head has its own learning
    rate, as in SwAV and Barlow Twins, but their rates (0.2 and 0.5) are for unnormalised features, whereas this head
    sees normalised ones: on held-out CIFAR-10, ResNet-18 from scratch on 5,000 labels reached 33.3 % with 0.2, 40.1 %
    with 0.05 and 41.8 % with 0.02 (200 steps of 64 images, lr 0.02).
    """

    kinds = frozenset[Kind]({"image", "video"})

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="probe."):
        from_stage: str = "all"
        """First stage that is trained, such as layer3, or all; the stages before it stay frozen."""
        steps: Annotated[int, Range(least=1)] = 2000
        """Steps of each training, regardless of the number of labels."""
        batch_size: Annotated[int, Range(least=2)] = 128
        """Images or clips per step."""
        lr: Annotated[tuple[float, ...], Range(above=0)] = (0.01, 0.1)
        """Learning rates of the encoder to choose from, on a part of the training samples; the first one if there are
        too few samples to choose."""
        head_lr: Annotated[float, Range(above=0)] = 0.02
        """Learning rate of the linear layer on up to 512 features; proportionally lower for more features."""
        weight_decay: Annotated[float, Range(least=0)] = 1e-4
        """Weight decay, not applied to biases and normalisation layers."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.3
        """Smallest share of the image's area that a crop covers."""

    @property
    def trains_encoder(self) -> bool:
        return True

    def score(self, reader: Reader, data: Labelled) -> Score:
        """Top-1 accuracy in percent.

        `more` has the budget (steps, batch_size, epochs), frozen stages, whether it was trained from_scratch, the
        learning rate, what each rate reached on the held-back samples ("tried"), and train_accuracy in percent on the
        crops of the last tenth of the steps.
        """
        self._check(reader.encoder)
        devices = [reader.device] if reader.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):  # dropout draws from the global generator, seeded at every step
            lr, tried = self._choose(reader, data)
            network, frozen = self._start(reader, len(data.classes))
            try:
                train_accuracy = self._fit(network, data.train, reader, lr)
            except DivergedError:
                raise ValueError(_too_high([lr])) from None
        assert data.test.labels is not None
        predicted = predict(network, data.test, reader).argmax(1).numpy()
        more: dict[str, Any] = {
            "steps": self.config.steps,
            "batch_size": self.config.batch_size,
            "epochs": round(self.config.steps * self.config.batch_size / len(data.train), 2),
            "from_scratch": reader.is_random,
            "frozen": list(frozen),
            "lr": lr,
            "tried": tried,
            "train_accuracy": round(100 * train_accuracy, 3),
        }
        return best_stage({POOLED: 100 * (predicted == data.test.labels).astype(np.float32)}, more)

    def _check(self, encoder: Encoder) -> None:
        stage = self.config.from_stage
        if stage not in ("all", *encoder.stages):
            raise ValueError(
                f"--probe.from-stage must be all or a stage of {encoder.name}, {', '.join(encoder.stages)}; "
                f"got {stage!r}"
            )

    def _start(self, reader: Reader, num_classes: int) -> tuple[Classifier, tuple[str, ...]]:
        """A fresh copy of the encoder with a head, and the names of the stages that are frozen in it."""
        encoder = copy.deepcopy(reader.encoder).to(reader.device).requires_grad_(True)
        trim_kernels(encoder)
        stage = self.config.from_stage
        frozen = () if reader.is_random or stage == "all" else freeze_before(encoder, stage, reader.size)
        network = Classifier(encoder, num_classes, reader.precision).to(reader.device)
        return channels_last(network), frozen

    def _fit(self, network: Classifier, samples: Samples, reader: Reader, lr: float) -> float:
        config = self.config
        recipe = Recipe(
            steps=config.steps,
            batch_size=config.batch_size,
            lr=lr,
            head_lr=config.head_lr,
            weight_decay=config.weight_decay,
            min_scale=config.min_scale,
        )
        return fit(network, samples, recipe, size=reader.size, device=reader.device, seed=self.seed)

    def _choose(self, reader: Reader, data: Labelled) -> tuple[float, list[dict[str, float | None]]]:
        """The learning rate that is best on held-back training samples, and what each reached there.

        By accuracy; cross entropy decides where that is equal, as it often is on few samples.
        """
        assert data.train.labels is not None
        held = held_back_by_class(data.train.labels, self.seed)
        rates = self.config.lr
        if len(rates) == 1 or not held.any():
            return rates[0], []
        part, rest = (Subset(data.train, np.flatnonzero(chosen)) for chosen in (~held, held))
        tried: list[dict[str, float | None]] = []
        reached: list[tuple[float, float, float]] = []
        for lr in rates:
            network, _ = self._start(reader, len(data.classes))
            try:
                self._fit(network, part, reader, lr)
            except DivergedError:
                tried.append({"lr": lr, "accuracy": None, "loss": None})
                continue
            accuracy, loss = _judge(network, rest, reader)
            tried.append({"lr": lr, "accuracy": accuracy, "loss": loss})
            reached.append((accuracy, -loss, lr))
        if not reached:
            raise ValueError(_too_high(rates))
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


def _too_high(rates: tuple[float, ...] | list[float]) -> str:
    return f"fine-tuning diverged with --probe.lr {_numbers(rates)}; give a lower one, such as {min(rates) / 10:g}"
