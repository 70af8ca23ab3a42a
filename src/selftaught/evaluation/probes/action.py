"""Action recognition."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from selftaught.core.ranges import Range, Settings
from selftaught.data.modality import clip_of
from selftaught.encoders.names import Kind
from selftaught.encoders.video.mean import MeanEncoder
from selftaught.evaluation.data.labelled import Labelled
from selftaught.evaluation.fit.classifier import predict
from selftaught.evaluation.fit.finetuning import FineTuning, fine_tune
from selftaught.evaluation.fit.held_back import held_back
from selftaught.evaluation.fit.ridge import RidgeProbe
from selftaught.evaluation.fit.votes import votes
from selftaught.evaluation.probes.base import Probe, Score, best_stage, resampled_over
from selftaught.features.all_stages import read_stages, stage_batches
from selftaught.features.reader import POOLED, Reader

USED = {
    "linear": ("stage", "dims"),
    "knn": ("stage", "dims", "k", "temperature"),
    "encoder": ("from_stage", "steps", "batch_size", "lr", "head_lr", "weight_decay", "min_scale"),
}
"""What is trained -> the settings that it understands."""
ALWAYS = ("train", "clips")


class Action(Probe):
    """Recognise the action of a video from ten clips (Misra et al., ECCV 2016; Xu et al., CVPR 2019).

    The protocol of the field on UCF101 and HMDB51: ten clips evenly spread over each test video, top-1 and top-5
    accuracy over videos. `--probe.train` says what is trained. `linear`, the default, fits ridge regression on the
    frozen features of each stage. `knn` trains nothing: the nearest training videos vote. Both use the mean of the
    features of a video's clips; for the linear classifier this is the same as the mean of its scores. `encoder`
    fine-tunes the whole network as the probe `finetune` does and averages the softmax of the clips, as in the
    literature; random weights are then trained from scratch with the same budget.

    All encoders of clips are measured, and encoders of images by the mean of the features of a clip's frames.
    Confidence intervals are over the test videos. Where the data name groups, such as persons or the video that clips
    were cut from, whole groups are drawn instead, since clips of one group resemble each other and intervals over
    videos would be too narrow.
    """

    needs = frozenset({"video", "label"})
    kinds = frozenset[Kind]({"image", "video"})
    folds_few = True

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="probe."):
        train: Literal["linear", "knn", "encoder"] = "linear"
        """What is trained: a linear classifier on each frozen stage, nothing (knn), or the encoder with a linear
        layer."""
        clips: Annotated[int, Range(least=1)] = 10
        """Clips of each video, evenly spread."""
        stage: str = "all"
        """Features for linear and knn: all, last, pooled or the name of a stage."""
        dims: Annotated[int, Range(least=1)] = 9000
        """Features per stage after pooling, for linear and knn."""
        k: Annotated[int, Range(least=1)] = 20
        """Neighbours that vote, for knn."""
        temperature: Annotated[float, Range(above=0)] = 0.07
        """Temperature of the votes, for knn."""
        from_stage: str = "all"
        """First stage that is trained, for encoder; the stages before it stay frozen."""
        steps: Annotated[int, Range(least=1)] = 1000
        """Steps of each training, for encoder."""
        batch_size: Annotated[int, Range(least=2)] = 32
        """Clips per step, for encoder."""
        lr: Annotated[tuple[float, ...], Range(above=0)] = (0.01, 0.1)
        """Learning rates of the encoder to choose from on a part of the training videos, for encoder."""
        head_lr: Annotated[float, Range(above=0)] = 0.02
        """Learning rate of the linear layer on up to 512 features, for encoder."""
        weight_decay: Annotated[float, Range(least=0)] = 1e-4
        """Weight decay, for encoder."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.3
        """Smallest share of the area of a frame that a crop covers, for encoder."""

        def __post_init__(self) -> None:
            super().__post_init__()
            for field in dataclasses.fields(self):
                is_given = getattr(self, field.name) != field.default
                if is_given and field.name not in (*ALWAYS, *USED[self.train]):
                    fitting = " or ".join(train for train, names in USED.items() if field.name in names)
                    flag = field.name.replace("_", "-")
                    raise ValueError(
                        f"--probe.{flag} has no effect with --probe.train {self.train}; leave it out or give "
                        f"--probe.train {fitting}"
                    )

    @property
    def trains_encoder(self) -> bool:
        """Whether it is fine-tuned."""
        return bool(self.config.train == "encoder")

    def score(self, reader: Reader, data: Labelled) -> Score:
        """Top-1 accuracy of the stages in percent.

        `more`: "top5" {stage: percent} where there are more than five classes, "clips" of each video, "averaged" over
        them, "resampled" for the intervals, and of a fine-tuned encoder how it was trained, as of the probe `finetune`.
        """
        reader = dataclasses.replace(reader, clips=self.config.clips)
        assert data.test.labels is not None
        more: dict[str, Any] = {
            "clips": self.config.clips,
            "averaged": "probabilities" if self.trains_encoder else "features",
            "resampled": resampled_over(data.test_groups, "videos"),
        }
        if self.config.train == "encoder":
            scores, trained = self._fine_tuned(reader, data)
            more |= trained
        else:
            scores = self._linear(reader, data) if self.config.train == "linear" else self._nearest(reader, data)
        labels = torch.from_numpy(data.test.labels)
        right = {stage: _right(found, labels, 1) for stage, found in scores.items()}
        if len(data.classes) > 5:
            five = best_stage({s: _right(found, labels, 5) for s, found in scores.items()}, groups=data.test_groups)
            more |= {"top5": dict(five.stages), "top5_intervals": dict(five.stage_intervals)}
        return best_stage(right, more, groups=data.test_groups)

    def _linear(self, reader: Reader, data: Labelled) -> dict[str, Tensor]:
        """{stage: scores (M, K) on the CPU} of the test videos."""
        train, config = data.train, self.config
        assert train.labels is not None
        held = held_back(len(train), self.seed)
        probes: dict[str, RidgeProbe] = {}
        for features, rows in stage_batches(reader, train, stage=config.stage, dims=config.dims):
            labels = torch.from_numpy(train.labels[rows]).to(reader.device)
            is_held = torch.from_numpy(held[rows]).to(reader.device)
            for name, values in features.items():
                probes.setdefault(name, RidgeProbe(len(data.classes))).add(values, labels, is_held)
        fitted = {name: probes.pop(name).solve()[0] for name in list(probes)}
        found: dict[str, list[Tensor]] = {name: [] for name in fitted}
        for features, _ in stage_batches(reader, data.test, stage=config.stage, dims=config.dims):
            for name, values in features.items():
                found[name].append(fitted[name].scores(values).cpu())
        return {name: torch.cat(parts) for name, parts in found.items()}

    def _nearest(self, reader: Reader, data: Labelled) -> dict[str, Tensor]:
        """{stage: votes (M, K) on the CPU} for the test videos."""
        config = self.config
        assert data.train.labels is not None
        labels = torch.from_numpy(data.train.labels).to(reader.device)
        known, asked = (
            read_stages(reader, part, stage=config.stage, dims=config.dims) for part in (data.train, data.test)
        )
        return {
            name: votes(
                torch.from_numpy(known[name]).to(reader.device).float(),
                labels,
                torch.from_numpy(asked[name]).to(reader.device).float(),
                k=config.k,
                temperature=config.temperature,
            ).cpu()
            for name in known
        }

    def _fine_tuned(self, reader: Reader, data: Labelled) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """{"pooled": probabilities (M, K)} of the test videos, and how the network was trained."""
        if reader.encoder.kind == "image":
            encoder = MeanEncoder(f"mean:{reader.encoder.name}", reader.encoder)
            encoder.clip_seen = dict(reader.encoder.clip_seen)
            images = clip_of(encoder.clip_seen).frames * reader.batch_size
            reader = dataclasses.replace(reader, encoder=encoder, batch_size=images)
        names = USED["encoder"]
        how = FineTuning(**{name: getattr(self.config, name) for name in names})
        found = fine_tune(reader, data.train, len(data.classes), how, seed=self.seed)
        return {POOLED: predict(found.network, data.test, reader, as_probabilities=True)}, found.more


def _right(scores: Tensor, labels: Tensor, k: int) -> NDArray[np.float32]:
    """(M,) 100 where the class is among the k with the highest scores, else 0."""
    best = scores.topk(min(k, scores.shape[1]), dim=1).indices
    right: NDArray[np.float32] = 100 * (best == labels[:, None]).any(1).numpy().astype(np.float32)
    return right
