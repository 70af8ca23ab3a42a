"""Contours."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from selftaught.core.precision import channels_last
from selftaught.core.randomness import seed_from
from selftaught.core.ranges import Range, Settings
from selftaught.data.annotations.dense_sample import IGNORE, DenseSample, DenseSamples
from selftaught.encoders.names import Kind
from selftaught.evaluation.data.base import DataKind
from selftaught.evaluation.data.dense import DENSE, Dense
from selftaught.evaluation.dense.box_batches import calibration_rows
from selftaught.evaluation.dense.mask_batches import MaskBatch, Windows, all_windows, augment, join, training_batches
from selftaught.evaluation.dense.segmentation_heads import LinearHead, Segmenter, stages_of_strides
from selftaught.evaluation.dense.stage_maps import StageMaps, read_stages, settle_norms
from selftaught.evaluation.dense.training_loop import polynomial, train_network
from selftaught.evaluation.metrics.contour_match import Counts, count_matches, score_contours, thresholds_of
from selftaught.evaluation.metrics.intervals import interval_of, resample
from selftaught.evaluation.probes.base import Probe, Score
from selftaught.features.reader import Reader
from selftaught.ops.edges.ridges import near, thin

BORDER = 5
"""Pixels from the edge of the image within which strengths fall to 0, as in structured edges."""
AGREE = 0.5
"""Share of the people by whom a contour to learn from was drawn (Xie and Tu, ICCV 2015)."""


class Contour(Probe):
    """Find the contours that people drew, linearly from the stages of the frozen encoder (Martin et al., PAMI 2004).

    One number for each place of the last stage of each stride, by a 1 x 1 convolution, is enlarged to the size of the
    image; their sum is the logit of a contour, as in HED (Xie and Tu, ICCV 2015). Channels are standardised by
    statistics of the training images. Contours to learn from are those that at least half of the people drew, within
    one pixel; pixels that fewer drew are left out, and contours and background have equal weight. Training is as in
    the probe `segmentation`.

    Test images are read in overlapping windows, with a short side of `size` pixels, and their contours are thinned and
    compared at the images' own size with those of every person by the Berkeley benchmark: pixels match one to one
    within 0.0075 of the diagonal. The metric is ODS, the F measure at the best threshold for all images, in percent;
    `more` has OIS, of the best threshold of each image, and AP, the mean precision. People among themselves reach
    80 % on BSDS500, Canny's filter 60 %.

    Data are images with the contours of several people: BSDS500 as published, folders images and groundTruth.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"drawn"})
    data: ClassVar[DataKind] = DENSE
    kinds: ClassVar[frozenset[Kind]] = frozenset({"image"})
    metric: ClassVar[str] = "ods"

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="probe."):
        size: Annotated[int, Range(least=16)] = 128
        """Short side of the images and side of the crops, in pixels."""
        steps: Annotated[int, Range(least=1)] = 200
        """Training steps."""
        batch_size: Annotated[int, Range(least=2)] = 8
        """Images per step."""
        lr: Annotated[float, Range(above=0)] = 1.0
        """Learning rate of the convolutions."""
        thresholds: Annotated[int, Range(least=1, most=99)] = 24
        """Thresholds between 0 and 1 at which contours are compared; the benchmark has 99."""

    def chance(self, data: Any) -> float | None:
        """Not defined."""
        return None

    def score(self, reader: Reader, data: Dense) -> Score:
        """ODS in percent.

        `more`: "ois" and "ap" in percent, "threshold" in (0, 1) of the best F, "precision" and "recall" in percent at
        each threshold, "size" in pixels, "loss" of the last tenth of the steps.
        """
        with torch.random.fork_rng(devices=[reader.device] if reader.device.type == "cuda" else []):
            torch.manual_seed(seed_from(self.seed, "contour"))
            network, size = self._network(reader, data.train)
            loss = self._train(network, data.train, size, reader.device)
        network.eval()
        thresholds = thresholds_of(self.config.thresholds)
        counts = self._counts(network, data.test, size, reader.device, thresholds)
        found = score_contours(counts, thresholds)
        resampled = 100 * resample(lambda rows: score_contours(counts[rows], thresholds).ods, len(counts))
        interval = interval_of(resampled)
        stage = "+".join(network.head.names)
        value = round(100 * found.ods, 3)
        return Score(
            value=value,
            stage=stage,
            stages={stage: value},
            interval=interval,
            stage_intervals={stage: interval},
            more={
                "ois": round(100 * found.ois, 3),
                "ap": round(100 * found.ap, 3),
                "threshold": round(found.threshold, 3),
                "precision": (100 * found.precision).round(2).tolist(),
                "recall": (100 * found.recall).round(2).tolist(),
                "size": size,
                "loss": round(loss, 4),
            },
            resampled=resampled,
        )

    def _network(self, reader: Reader, train: DenseSamples) -> tuple[Segmenter, int]:
        """The frozen encoder with a fresh head, and the side of the crops."""
        encoder = channels_last(copy.deepcopy(reader.encoder).to(reader.device).eval())
        reading = read_stages(encoder)
        size = reading.side_for(self.config.size, name=encoder.name)

        def some() -> Iterator[Tensor]:
            rows = calibration_rows(len(train), self.seed)
            return (windows.images.to(reader.device) for windows in all_windows(train, size, rows))

        if reader.is_random:
            settle_norms(encoder, some())
        stages = stages_of_strides(reading)
        maps = StageMaps(encoder, stages, is_frozen=True, precision=reader.precision).to(reader.device)
        maps.eval().calibrate(some())
        network = Segmenter(maps, LinearHead(stages, 1), reader.precision).to(reader.device)
        return channels_last(network), size

    def _train(self, network: Segmenter, train: DenseSamples, size: int, device: torch.device) -> float:
        """Returns the mean loss of the last tenth of the steps."""

        def loss_of(step: int, batch: MaskBatch) -> Tensor:
            images, masks = augment(batch, size=size, seed=self.seed, step=step, device=device)
            return balanced_loss(network(images)[:, 0], masks)

        steps, batch_size = self.config.steps, self.config.batch_size
        return train_network(
            network,
            [{"params": list(network.head.parameters()), "peak": self.config.lr}],
            training_batches(WithMasks(train), steps=steps, batch_size=batch_size, size=size, seed=self.seed),
            loss_of,
            steps=steps,
            rate=polynomial,
            name="contour head",
        )

    @torch.no_grad()
    def _counts(
        self,
        network: Segmenter,
        test: DenseSamples,
        size: int,
        device: torch.device,
        thresholds: NDArray[np.float64],
    ) -> Counts:
        """Of all test images, which are matched in threads while the next are read."""

        def edges(windows: Windows) -> NDArray[np.float32]:
            strength = join(windows, network(windows.images.to(device)).sigmoid()).cpu()
            return np.asarray(thin(strength, border=BORDER)[0], np.float32)

        def drawn(windows: Windows) -> NDArray[np.bool_]:
            assert windows.sample.contours is not None
            return windows.sample.contours.numpy()

        with ThreadPoolExecutor() as pool:
            waiting = [
                pool.submit(count_matches, edges(windows), drawn(windows), thresholds)
                for windows in all_windows(test, size)
            ]
            return np.stack([one.result() for one in waiting])


class WithMasks:
    """Images with contours, and masks to learn from; see `DenseSamples`."""

    def __init__(self, base: DenseSamples) -> None:
        self.classes = base.classes
        self.fingerprint = base.fingerprint
        self.skipped = base.skipped
        self.keys = base.keys
        self._base = base

    def __len__(self) -> int:
        return len(self._base)

    def read(self, i: int) -> DenseSample:
        """As `base` reads it, with a mask."""
        sample = self._base.read(i)
        assert sample.contours is not None
        return replace(sample, mask=agreed(sample.contours))


def agreed(drawn: Tensor) -> Tensor:
    """Contours (A, H, W) of A people -> (H, W) int64: 1 where half of them drew one within a pixel, 0 where nobody did.

    `IGNORE` where fewer drew one.
    """
    share = near(drawn, 1).float().mean(0)
    return torch.where(share >= AGREE, 1, torch.where(share > 0, IGNORE, 0))


def balanced_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Logistic loss of logits (N, H, W) against masks of 1, 0 and `IGNORE`, half of it of contours."""
    errors = F.binary_cross_entropy_with_logits(logits, (masks == 1).float(), reduction="none")
    halves = [(errors * (masks == kind)).sum() / (masks == kind).sum().clamp(min=1) for kind in (1, 0)]
    return (halves[0] + halves[1]) / 2
