"""Fine-tuning."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from selftaught.core.ranges import Range, Settings
from selftaught.encoders.names import Kind
from selftaught.evaluation.data.labelled import Labelled
from selftaught.evaluation.fit.classifier import predict
from selftaught.evaluation.fit.finetuning import FineTuning, fine_tune
from selftaught.evaluation.probes.base import Probe, Score, best_stage
from selftaught.features.reader import POOLED, Reader


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
        how = FineTuning(**dataclasses.asdict(self.config))
        found = fine_tune(reader, data.train, len(data.classes), how, seed=self.seed)
        assert data.test.labels is not None
        predicted = predict(found.network, data.test, reader).argmax(1).numpy()
        return best_stage({POOLED: 100 * (predicted == data.test.labels).astype(np.float32)}, found.more)
