"""Images with boxes as batches for a detector: one short side, padded to a common canvas."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from selftaught.core.randomness import numpy_generator
from selftaught.data.annotations.dense_sample import DenseSample, DenseSamples
from selftaught.encoders.base import Encoder
from selftaught.evaluation.dense.detector_heads import Target
from selftaught.evaluation.dense.read_ahead import read_ahead
from selftaught.evaluation.dense.stage_maps import Reading
from selftaught.evaluation.metrics.box_matches import Truth
from selftaught.ops.colour import normalise

LONGEST = 1333 / 800
"""Of an image's long side to the short side asked for; longer images are made smaller (Lin et al., CVPR 2017)."""


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """What images are resized and padded to.

    Attributes:
        size: the short side, pixels.
        multiple: a canvas has sides that are multiples of so many pixels.
        least: and no smaller ones.
        side: of the one square canvas of an encoder that takes no other; the long side is resized to it.
    """

    size: int
    multiple: int
    least: int
    side: int | None = None

    def scale(self, height: int, width: int) -> float:
        """By which an image is resized."""
        if self.side is not None:
            return self.side / max(height, width)
        return min(self.size / min(height, width), LONGEST * self.size / max(height, width))

    def shape(self, sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
        """Height and width that hold all of them."""
        height, width = (max(self.least, *sides) for sides in zip(*sizes, strict=True))
        return -(-height // self.multiple) * self.multiple, -(-width // self.multiple) * self.multiple


def canvas_for(encoder: Encoder, reading: Reading, size: int) -> Canvas:
    """The canvas on which every stage of the encoder, and what a detector makes of it, has whole positions."""
    if reading.side is not None:
        return Canvas(size=reading.side, multiple=1, least=reading.side, side=reading.side)
    if size < reading.least:
        raise ValueError(
            f"encoder '{encoder.name}' needs images of at least {reading.least} pixels, got --probe.size {size}; "
            "raise it"
        )
    strides = {stage.stride for stage in reading.stages}
    coarsest = max(strides) * (2 if len(strides) == 1 else 1)
    return Canvas(size=size, multiple=math.lcm(reading.multiple, math.ceil(coarsest)), least=reading.least)


@dataclass(frozen=True, kw_only=True)
class PictureBatch:
    """Images on one canvas, N of them.

    Attributes:
        images: (N, 3, H, W) float32 normalised, padded at the right and at the bottom with the mean colour.
        sizes: height and width of each image in it.
        scales: by which each was resized along x and y.
        targets: of each, in the pixels of the canvas.
        truth: of each, in its own pixels.
    """

    images: Tensor
    sizes: list[tuple[int, int]]
    scales: list[tuple[float, float]]
    targets: list[Target]
    truth: list[Truth]


def training_batches(
    samples: DenseSamples, canvas: Canvas, *, steps: int, batch_size: int, seed: int
) -> Iterator[PictureBatch]:
    """`steps` batches of images in a new order each time all were seen, half of them mirrored, by `seed`."""
    count = len(samples)
    size = min(batch_size, count)
    per_epoch = count // size

    def make(step: int) -> PictureBatch:
        epoch, part = divmod(step, per_epoch)
        rows = numpy_generator(seed, "order", epoch).permutation(count)[part * size : (part + 1) * size]
        mirrored = numpy_generator(seed, "mirror", step).random(size) < 0.5
        return read_batch(samples, rows.tolist(), canvas, mirrored.tolist())

    return read_ahead(make, steps)


def batches_of(
    samples: DenseSamples, canvas: Canvas, *, batch_size: int, rows: Sequence[int] | None = None
) -> Iterator[PictureBatch]:
    """The images, or those rows of them, in order and as they are."""
    rows = range(len(samples)) if rows is None else rows
    parts = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    return read_ahead(lambda i: read_batch(samples, parts[i], canvas, [False] * len(parts[i])), len(parts))


def read_batch(samples: DenseSamples, rows: Sequence[int], canvas: Canvas, mirrored: Sequence[bool]) -> PictureBatch:
    """Those images on one canvas."""
    read = [samples.read(row) for row in rows]
    pictures = [_resized(sample.image, canvas, mirror) for sample, mirror in zip(read, mirrored, strict=True)]
    sizes = [(picture.shape[1], picture.shape[2]) for picture in pictures]
    height, width = canvas.shape(sizes)
    images = torch.zeros(len(rows), 3, height, width).contiguous(memory_format=torch.channels_last)
    scales, targets = [], []
    for i, (sample, picture, (h, w)) in enumerate(zip(read, pictures, sizes, strict=True)):
        images[i, :, :h, :w] = picture
        scales.append((w / sample.image.shape[2], h / sample.image.shape[1]))
        targets.append(_target(sample, scales[-1], width=w, mirror=mirrored[i]))
    return PictureBatch(images=images, sizes=sizes, scales=scales, targets=targets, truth=[_truth(s) for s in read])


def _resized(image: Tensor, canvas: Canvas, mirror: bool) -> Tensor:
    """(3, H, W) uint8 -> (3, h, w) float32 normalised."""
    height, width = image.shape[1:]
    scale = canvas.scale(height, width)
    shape = (max(1, round(scale * height)), max(1, round(scale * width)))
    pixels = F.interpolate(image[None].float(), shape, mode="bilinear", antialias=True, align_corners=False)
    picture = normalise((pixels / 255).clamp(0, 1))[0]
    return picture.flip(2) if mirror else picture


def _target(sample: DenseSample, scale: tuple[float, float], *, width: int, mirror: bool) -> Target:
    boxes = sample.boxes * torch.tensor([*scale, *scale])
    if mirror:
        boxes = torch.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], 1)
    counted = ~sample.ignore & (boxes[:, 2:] > boxes[:, :2]).all(1)
    return {"boxes": boxes[counted], "labels": sample.labels[counted] + 1, "ignore": boxes[sample.ignore]}


def _truth(sample: DenseSample) -> Truth:
    return Truth(boxes=sample.boxes.double().numpy(), labels=sample.labels.numpy(), ignore=sample.ignore.numpy())


def calibration_rows(count: int, seed: int, most: int = 32) -> list[int]:
    """Images by which an encoder's numbers are standardised."""
    return [int(row) for row in np.sort(numpy_generator(seed, "calibration").permutation(count)[:most])]
