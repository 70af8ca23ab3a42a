"""Detection of objects."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from selftaught.core.precision import channels_last
from selftaught.core.ranges import Range, Settings
from selftaught.data.annotations.dense_sample import DenseSamples
from selftaught.encoders.base import Encoder
from selftaught.encoders.names import Kind
from selftaught.evaluation.data.base import DataKind
from selftaught.evaluation.data.dense import DENSE, Dense
from selftaught.evaluation.dense.box_batches import (
    Canvas,
    PictureBatch,
    batches_of,
    calibration_rows,
    canvas_for,
    training_batches,
)
from selftaught.evaluation.dense.box_drawings import draw_boxes
from selftaught.evaluation.dense.detector import Detector, build_detector
from selftaught.evaluation.dense.stage_maps import Reading, centre_kernels, read_stages, settle_norms
from selftaught.evaluation.dense.training_loop import stepped, train_network
from selftaught.evaluation.metrics.box_matches import Found, Matches, Truth
from selftaught.evaluation.metrics.class_mean import class_mean
from selftaught.evaluation.metrics.intervals import interval_of
from selftaught.evaluation.probes.base import Probe, Score
from selftaught.features.reader import Reader

TESTED_AT_ONCE = 4
DRAWN = 6


class Detection(Probe):
    """Detect objects with Faster R-CNN on the stages of the encoder (Ren et al., NeurIPS 2015).

    The detector reads a feature pyramid over the last stages of different strides (`fpn`, Lin et al., CVPR 2017), or a
    single stage, whose proposals pass through the remaining layers of the encoder or, if none are left, through two
    fully connected layers (`c4`). Every channel is standardised with statistics of the training images. The schedule is
    that of MoCo (He et al., CVPR 2020, appendix): SGD with learning rate 0.02 for 16 images, divided by ten after 3/4
    of the steps and again after 11/12; the statistics of batch normalisation are frozen. The defaults suit two cores;
    published results use --probe.frozen false --probe.size 800 --probe.steps 24000 --probe.batch-size 16
    --probe.channels 256 --probe.hidden 1024 --probe.rois 512 --probe.proposals 1000. Ignored boxes are neither learned
    from nor evaluated. The metric is the mean over classes of the average precision, either at an overlap of 0.5 as in
    PASCAL VOC (from 2010 on), or averaged over overlaps from 0.5 to 0.95 as in COCO. The other one and that of VOC 2007
    are reported as well.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"box"})
    data: ClassVar[DataKind] = DENSE
    kinds: ClassVar[frozenset[Kind]] = frozenset({"image"})
    metric: ClassVar[str] = "map"

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="probe."):
        neck: Literal["fpn", "c4"] = "fpn"
        """Input of the detector: a pyramid of stages, or one stage."""
        stage: str | None = None
        """Stage that c4 reads; none uses the last stage with a stride of at most 16 pixels."""
        frozen: bool = True
        """Freeze the encoder and train only the detector."""
        size: Annotated[int, Range(least=1)] = 128
        """Short side of the images, in pixels."""
        steps: Annotated[int, Range(least=1)] = 500
        """Training steps."""
        batch_size: Annotated[int, Range(least=1)] = 8
        """Images per step."""
        lr: Annotated[float, Range(above=0)] = 0.02
        """Learning rate for 16 images; scaled with the batch size."""
        channels: Annotated[int, Range(least=1)] = 128
        """Channels of the pyramid."""
        hidden: Annotated[int, Range(least=1)] = 512
        """Width of the fully connected layers."""
        rois: Annotated[int, Range(least=1)] = 128
        """Proposals per image used for training."""
        proposals: Annotated[int, Range(least=1)] = 300
        """Proposals per image used for testing."""
        metric: Literal["voc", "coco"] = "voc"
        """Definition of average precision."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.stage is not None and self.neck != "c4":
                raise ValueError("--probe.stage is for --probe.neck c4; a pyramid reads several stages")

    @property
    def trains_encoder(self) -> bool:
        """Unless it is frozen."""
        return not self.config.frozen

    def chance(self, data: Any) -> float | None:
        """Not known."""
        return None

    def score(self, reader: Reader, data: Dense) -> Score:
        """Mean average precision in percent.

        `more`: "rule" of the metric; "per_class" (by that rule in percent, None for a class without test boxes);
        "boxes" of each class in the test; "voc" ("ap50", and "ap50_2007" from 11 recalls); "coco" ("ap", "ap50",
        "ap75"); "loss" of the last tenth of the steps; "pictures", whose files show true boxes in green and found ones
        in orange.
        """
        detector, canvas, loss = self.train(reader, data)
        return self.judged(detector, data, canvas, reader.device, loss)

    def judged(self, detector: Detector, data: Dense, canvas: Canvas, device: torch.device, loss: float) -> Score:
        """What a detector that was trained reaches on the test images."""
        return self.scored(detector, data, *judge(detector, data.test, canvas, device), loss)

    def scored(self, detector: Detector, data: Dense, found: list[Found], truth: list[Truth], loss: float) -> Score:
        """The same, from what `judge` says of these images."""
        stages = [stage.name for stage in detector.maps.stages][: None if self.config.neck == "fpn" else 1]
        return self._figures(data, found, truth, stage="+".join(stages), loss=loss)

    def train(self, reader: Reader, data: Dense) -> tuple[Detector, Canvas, float]:
        """A detector that learned from the training images, how it sees images, and the loss of its last steps."""
        _check(data)
        detector, canvas = self.build(reader, len(data.classes), data.train)
        detector.eval().maps.calibrate(self._calibration(data.train, canvas, reader.device))
        return detector, canvas, self._train(detector, data.train, canvas, reader.device)

    def build(self, reader: Reader, num_classes: int, train: DenseSamples | None) -> tuple[Detector, Canvas]:
        """A detector with fresh heads around a copy of the encoder, and how it sees images.

        Random weights get their statistics of batch normalisation from `train`; None leaves them as they are.
        """
        encoder = channels_last(copy.deepcopy(reader.encoder).to(reader.device).eval())
        centre_kernels(encoder)
        reading = read_stages(encoder)
        canvas = canvas_for(encoder, reading, self.config.size)
        if reader.is_random and train is not None:
            settle_norms(encoder, self._calibration(train, canvas, reader.device))
        return self._build(encoder, reading, num_classes, reader), canvas

    def _calibration(self, train: DenseSamples, canvas: Canvas, device: torch.device) -> Iterator[Tensor]:
        """Training images by which the encoder's numbers are standardised."""
        rows = calibration_rows(len(train), self.seed)
        return (batch.images.to(device) for batch in batches_of(train, canvas, batch_size=TESTED_AT_ONCE, rows=rows))

    def _build(self, encoder: Encoder, reading: Reading, num_classes: int, reader: Reader) -> Detector:
        config = self.config
        detector = build_detector(
            encoder,
            reading,
            num_classes=num_classes,
            neck=config.neck,
            stage=config.stage,
            is_frozen=config.frozen,
            size=config.size if reading.side is None else round(0.75 * reading.side),
            channels=config.channels,
            hidden=config.hidden,
            rois=config.rois,
            proposals=config.proposals,
            precision=reader.precision,
            seed=self.seed,
        )
        return detector.to(reader.device)

    def _train(self, detector: Detector, train: DenseSamples, canvas: Canvas, device: torch.device) -> float:
        """Returns the mean loss of the last tenth of the steps."""
        config = self.config
        size = min(config.batch_size, len(train))
        weights = [p for p in detector.parameters() if p.requires_grad]

        def loss_of(step: int, batch: PictureBatch) -> Tensor:
            targets = [{name: value.to(device) for name, value in target.items()} for target in batch.targets]
            losses = detector.losses(batch.images.to(device), batch.sizes, targets)
            return torch.stack(list(losses.values())).sum()

        return train_network(
            detector,
            [{"params": weights, "peak": config.lr * size / 16}],
            training_batches(train, canvas, steps=config.steps, batch_size=size, seed=self.seed),
            loss_of,
            steps=config.steps,
            rate=stepped,
            name="detector",
        )

    def _figures(self, data: Dense, found: list[Found], truth: list[Truth], *, stage: str, loss: float) -> Score:
        voc, coco = Matches(len(data.classes), "voc"), Matches(len(data.classes), "coco")
        for one, there in zip(found, truth, strict=True):
            voc.add(one, there)
            coco.add(one, there)
        by_voc, by_coco = voc.average_precision("area")[:, 0], coco.average_precision(101)
        is_voc = self.config.metric == "voc"
        value = _round(voc.mean("area") if is_voc else coco.mean(101))
        groups = data.groups
        resampled = voc.resampled_means("area", groups) if is_voc else coco.resampled_means(101, groups)
        interval = interval_of(resampled)
        files, drawn = _drawings(data, found, truth)
        more = {
            "rule": self.config.metric,
            "per_class": _by_class(data.classes, by_voc if is_voc else by_coco.mean(1)),
            "boxes": dict(zip(data.classes, voc.positives().tolist(), strict=True)),
            "voc": {"ap50": _round(voc.mean("area")), "ap50_2007": _round(voc.mean(11))},
            "coco": {
                "ap": _round(coco.mean(101)),
                "ap50": _round(class_mean(by_coco[:, 0])),
                "ap75": _round(class_mean(by_coco[:, 5])),
            },
            "loss": round(loss, 4),
            "pictures": drawn,
        }
        return Score(
            value=value,
            stage=stage,
            stages={stage: value},
            interval=interval,
            stage_intervals={stage: interval},
            more=more,
            resampled=resampled,
            files=files,
        )


def _check(data: Dense) -> None:
    if not any((~data.train.read(i).ignore).any() for i in range(len(data.train))):
        raise ValueError("the training images have no boxes to learn from; give data with more of them")


@torch.no_grad()
def judge(
    detector: Detector, test: DenseSamples, canvas: Canvas, device: torch.device, *, at_once: int = TESTED_AT_ONCE
) -> tuple[list[Found], list[Truth]]:
    """What was found and what is there in every image, in the image's own pixels.

    Images that are computed at once share a canvas; what is beyond an image changes its boxes a little.
    """
    detector.eval()
    found: list[Found] = []
    truth: list[Truth] = []
    for batch in batches_of(test, canvas, batch_size=at_once):
        detected = detector.detect(batch.images.to(device), batch.sizes)
        found += [found_in(one, scale) for one, scale in zip(detected, batch.scales, strict=True)]
        truth += batch.truth
    if not any((~there.ignore).any() for there in truth):
        raise ValueError("the test images have no boxes to be found; give data with more of them")
    return found, truth


def found_in(one: dict[str, Tensor], scale: tuple[float, float]) -> Found:
    """What a detector found in one image, in the image's own pixels; `scale` is that of its canvas along x and y."""
    boxes = one["boxes"].double().cpu().numpy() / np.array([*scale, *scale])
    return Found(boxes=boxes, scores=one["scores"].double().cpu().numpy(), labels=one["labels"].cpu().numpy() - 1)


def _drawings(data: Dense, found: list[Found], truth: list[Truth]) -> tuple[dict[str, bytes], list[dict[str, str]]]:
    """PNG files of test images spread over the data, and which image each shows."""
    rows = np.unique(np.linspace(0, len(truth) - 1, DRAWN).round().astype(int)).tolist()
    files = {
        f"boxes{i}.png": draw_boxes(data.test.read(row).image, truth[row], found[row], data.classes)
        for i, row in enumerate(rows)
    }
    return files, [{"file": name, "key": data.test.keys[row]} for name, row in zip(files, rows, strict=True)]


def _by_class(classes: tuple[str, ...], values: np.ndarray) -> dict[str, float | None]:
    figures = [None if math.isnan(value) else round(float(value), 3) for value in values]
    return dict(zip(classes, figures, strict=True))


def _round(value: float) -> float:
    return round(value, 3)
