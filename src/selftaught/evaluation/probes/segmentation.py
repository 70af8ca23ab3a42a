"""Semantic segmentation."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from selftaught.core.precision import channels_last
from selftaught.core.randomness import seed_from
from selftaught.core.ranges import Range, Settings
from selftaught.data.annotations.dense_sample import IGNORE, DenseSamples
from selftaught.encoders.base import Encoder
from selftaught.encoders.names import Kind
from selftaught.evaluation.data.base import DataKind
from selftaught.evaluation.data.dense import DENSE, Dense
from selftaught.evaluation.dense.box_batches import calibration_rows
from selftaught.evaluation.dense.mask_batches import MaskBatch, Windows, all_windows, augment, join, training_batches
from selftaught.evaluation.dense.mask_drawings import draw_masks
from selftaught.evaluation.dense.segmentation_heads import Segmenter, deeplab_stages, fcn_stages, make_head
from selftaught.evaluation.dense.stage_maps import StageMaps, read_stages, settle_norms
from selftaught.evaluation.dense.training_loop import polynomial, train_network
from selftaught.evaluation.metrics.class_mean import resampled_class_means
from selftaught.evaluation.metrics.intervals import interval_of
from selftaught.evaluation.metrics.iou import Counts, class_iou, count_pixels, mean_accuracy, mean_iou, pixel_accuracy
from selftaught.evaluation.probes.base import Probe, Score
from selftaught.features.reader import Reader
from selftaught.ops.draw_maps import palette

SCORES = 8_000_000
"""Numbers that are computed for test images at once."""
DRAWN = 6
Watch = Callable[[int, NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]], None]
"""Is given the row of a test image, its mask, the predicted one and the probability of each pixel, all (H, W)."""


class Segmentation(Probe):
    """Classify every pixel from the stages of the encoder (Long, Shelhamer and Darrell, CVPR 2015).

    A head, `fcn` or `deeplab`, reads the stages as maps, with each channel standardised by statistics of the training
    images. It is trained with the recipe of DeepLab (Chen et al., arXiv 1706.05587, section 4): SGD with momentum, a
    learning rate that falls as (1 - step / steps)^0.9 after a short warm-up, and images scaled by 0.5 to 2, cropped and
    flipped together with their masks. The learning rate of the head is ten times that of the encoder (DeepLab v2),
    whose statistics of batch normalisation are frozen. Images are read with a short side of `size`, tested in
    overlapping square windows, and evaluated at their original size. The defaults suit two cores; published results use
    --probe.frozen false --probe.size 513 --probe.steps 30000 --probe.channels 256. The metric is the mean over classes
    of intersection over union; unlabelled pixels do not count.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"mask"})
    data: ClassVar[DataKind] = DENSE
    kinds: ClassVar[frozenset[Kind]] = frozenset({"image"})
    metric: ClassVar[str] = "miou"

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="probe."):
        head: Literal["fcn", "deeplab"] = "fcn"
        """Head on the stages: sum of scores at three strides (fcn), or dilated convolutions and a decoder (deeplab)."""
        frozen: bool = True
        """Freeze the encoder and train only the head."""
        size: Annotated[int, Range(least=16)] = 128
        """Short side of the images and side of the crops, in pixels."""
        steps: Annotated[int, Range(least=1)] = 500
        """Training steps."""
        batch_size: Annotated[int, Range(least=2)] = 16
        """Images per step."""
        lr: Annotated[float, Range(above=0)] = 0.01
        """Learning rate of the encoder; the head's is ten times that."""
        channels: Annotated[int, Range(least=1)] = 128
        """Channels of the head."""

    @property
    def trains_encoder(self) -> bool:
        """Unless it is frozen."""
        return not self.config.frozen

    def chance(self, data: Any) -> float | None:
        """Not defined; `more` has the metric of predicting the most frequent class everywhere."""
        return None

    def score(self, reader: Reader, data: Dense) -> Score:
        """Mean intersection over union in percent.

        `more`: "per_class" (IoU in percent, None for a class that is neither there nor predicted), "pixel_accuracy",
        "mean_accuracy", "commonest_class" (mIoU when every pixel is said to be of the test part's commonest class),
        "size" in pixels, "loss" of the last tenth of the steps, "colours" of the classes in "pictures", whose files
        show an image, its true mask and the predicted one.
        """
        network, size, loss = self.train(reader, data)
        return self.judged(network, data, size, reader.device, loss)

    def judged(
        self, network: Segmenter, data: Dense, size: int, device: torch.device, loss: float, watch: Watch | None = None
    ) -> Score:
        """What a network that was trained reaches on the test images; `watch` is given each of them."""
        counts, files, drawn = self._judge(network, data, size, device, watch)
        return self._figures(network, data, counts, {"size": size, "loss": round(loss, 4), "pictures": drawn}, files)

    def train(self, reader: Reader, data: Dense) -> tuple[Segmenter, int, float]:
        """A network that learned from the training images, the side of its crops, and the loss of its last steps."""
        devices = [reader.device] if reader.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):  # weights of the head and dropout draw from the global generator
            torch.manual_seed(seed_from(self.seed, "segmentation"))
            network, size = self.build(reader, len(data.classes), data.train)
            return network, size, self._train(network, data.train, size, reader.device)

    def build(self, reader: Reader, num_classes: int, train: DenseSamples | None) -> tuple[Segmenter, int]:
        """The network, and the side of the crops that its encoder takes; statistics are those of `train`, if given."""
        encoder: Encoder = channels_last(copy.deepcopy(reader.encoder).to(reader.device).eval())
        reading = read_stages(encoder)
        config = self.config
        size = reading.side_for(config.size, name=encoder.name)
        stages = fcn_stages(reading) if config.head == "fcn" else deeplab_stages(reading)
        if reader.is_random and train is not None:
            settle_norms(encoder, self._calibration(train, size, reader.device))
        maps = StageMaps(encoder, stages, is_frozen=config.frozen, precision=reader.precision).to(reader.device)
        if train is not None:
            maps.eval().calibrate(self._calibration(train, size, reader.device))
        head = make_head(config.head, stages, num_classes, config.channels, size=size)
        network = Segmenter(maps, head, reader.precision).to(reader.device)
        return channels_last(network), size

    def _calibration(self, train: DenseSamples, size: int, device: torch.device) -> Iterator[Tensor]:
        """Training images by which the encoder's numbers are standardised."""
        rows = calibration_rows(len(train), self.seed)
        return (windows.images.to(device) for windows in all_windows(train, size, rows))

    def _train(self, network: Segmenter, train: DenseSamples, size: int, device: torch.device) -> float:
        """Returns the mean loss of the last tenth of the steps."""
        config = self.config
        groups = [
            {"params": [p for p in network.maps.parameters() if p.requires_grad], "peak": config.lr},
            {"params": list(network.head.parameters()), "peak": 10 * config.lr},
        ]

        def loss_of(step: int, batch: MaskBatch) -> Tensor:
            images, masks = augment(batch, size=size, seed=self.seed, step=step, device=device)
            return pixel_loss(network(images), masks)

        return train_network(
            network,
            groups,
            training_batches(train, steps=config.steps, batch_size=config.batch_size, size=size, seed=self.seed),
            loss_of,
            steps=config.steps,
            rate=polynomial,
            name="segmentation head",
        )

    @torch.no_grad()
    def _judge(
        self, network: Segmenter, data: Dense, size: int, device: torch.device, watch: Watch | None
    ) -> tuple[Counts, dict[str, bytes], list[dict[str, str]]]:
        """Counts (M, 3, K) of the test images, and drawings of some that are spread over them."""
        network.eval()
        count = len(data.classes)
        shown = set(np.linspace(0, len(data.test) - 1, DRAWN).round().astype(int).tolist())
        counts: list[Counts] = []
        files: dict[str, bytes] = {}
        drawn: list[dict[str, str]] = []
        for row, (windows, predicted, confidence) in enumerate(predictions(network, data.test, size, device)):
            assert windows.sample.mask is not None
            truth = windows.sample.mask.numpy()
            if watch is not None:
                watch(row, truth, predicted, confidence)
            counts.append(count_pixels(predicted, truth, count))
            if row in shown:
                name = f"masks{len(files)}.png"
                files[name] = draw_masks(windows.sample.image, truth, predicted, count)
                drawn.append({"file": name, "key": data.test.keys[row]})
        return np.stack(counts), files, drawn

    def _figures(
        self, network: Segmenter, data: Dense, counts: Counts, more: dict[str, Any], files: dict[str, bytes]
    ) -> Score:
        truth = counts[:, 2].sum(0)
        if not truth.any():
            raise ValueError("no pixel of the test images has a class; give data with labelled masks")
        by_class = [None if math.isnan(iou) else round(100 * float(iou), 3) for iou in class_iou(counts)]
        stage = "+".join(network.head.names)
        value = round(mean_iou(counts), 3)
        resampled = 100 * resampled_class_means(lambda rows: class_iou(counts, rows), len(counts), data.groups)
        resampled = resampled.clip(0, 100)
        interval = interval_of(resampled)
        colours = [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in palette(len(data.classes)).tolist()]
        return Score(
            value=value,
            stage=stage,
            stages={stage: value},
            interval=interval,
            stage_intervals={stage: interval},
            more={
                "per_class": dict(zip(data.classes, by_class, strict=True)),
                "pixel_accuracy": round(pixel_accuracy(counts), 3),
                "mean_accuracy": round(mean_accuracy(counts), 3),
                "commonest_class": round(100 * float(truth.max() / truth.sum()) / int((truth > 0).sum()), 3),
                **more,
                "colours": dict(zip(data.classes, colours, strict=True)),
            },
            resampled=resampled,
            files=files,
        )


def pixel_loss(scores: Tensor, masks: Tensor) -> Tensor:
    """Mean cross-entropy over the labelled pixels; 0 if there are none. Scores (N, K, H, W), masks (N, H, W)."""
    total = F.cross_entropy(scores, masks, ignore_index=IGNORE, reduction="sum")
    return total / (masks != IGNORE).sum().clamp(min=1)


def predictions(
    network: Segmenter, samples: DenseSamples, size: int, device: torch.device
) -> Iterator[tuple[Windows, NDArray[np.int64], NDArray[np.float32]]]:
    """Each image with the class of each of its pixels and its probability, both (H, W), in order."""
    waiting: list[Windows] = []
    at_once = max(1, SCORES // (len(samples.classes) * size * size))
    for windows in all_windows(samples, size):
        waiting.append(windows)
        if sum(len(one.starts) for one in waiting) >= at_once:
            yield from _predict(network, waiting, device)
            waiting = []
    if waiting:
        yield from _predict(network, waiting, device)


def _predict(
    network: Segmenter, waiting: list[Windows], device: torch.device
) -> Iterator[tuple[Windows, NDArray[np.int64], NDArray[np.float32]]]:
    images = torch.cat([windows.images for windows in waiting]).to(device)
    scores = network(images).softmax(1).split([len(windows.starts) for windows in waiting])
    for windows, found in zip(waiting, scores, strict=True):
        confidence, predicted = join(windows, found).max(0)
        yield windows, predicted.cpu().numpy(), confidence.cpu().numpy()
