"""Images with class masks as batches for a segmentation network, decoded in threads as they are needed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from selftaught.core.randomness import generator, numpy_generator
from selftaught.data.annotations.dense_sample import IGNORE, DenseSample, DenseSamples
from selftaught.evaluation.dense.read_ahead import read_ahead
from selftaught.ops.colour import normalise
from selftaught.ops.crop import crop_resize_with_maps, inside, scaled_boxes

SCALE = (0.5, 2.0)
"""Of training images, times the scale they are tested at."""
LONGEST = 16
"""Times its short side that an image's long side is looked at; longer images are squeezed along it to that."""


@dataclass(frozen=True, kw_only=True)
class MaskBatch:
    """N images at the upper left of one canvas.

    Attributes:
        images: (N, 3, H, W) uint8.
        masks: (N, H, W) int64, `IGNORE` beyond the image.
        sizes: (N, 2) height and width of each image.
    """

    images: Tensor
    masks: Tensor
    sizes: Tensor


def training_batches(
    samples: DenseSamples, *, steps: int, batch_size: int, size: int, seed: int
) -> Iterator[MaskBatch]:
    """`steps` batches of an endless sequence of shuffled epochs.

    Images with a short side of more than twice `size` are made smaller, as no crop is taken at a larger scale.
    """
    count = len(samples)

    def make(step: int) -> MaskBatch:
        places = range(step * batch_size, (step + 1) * batch_size)
        orders = {epoch: shuffled(count, seed, epoch) for epoch in {place // count for place in places}}
        read = [samples.read(int(orders[place // count][place % count])) for place in places]
        return stack([shrink(sample, round(SCALE[1] * size)) for sample in read])

    return read_ahead(make, steps)


def shuffled(count: int, seed: int, epoch: int) -> np.ndarray:
    """Rows in the order of one epoch."""
    return numpy_generator(seed, "order", epoch).permutation(count)


def augment(batch: MaskBatch, *, size: int, seed: int, step: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Crops (N, 3, size, size) normalised and their masks (N, size, size), a function of seed and step."""
    rng = generator(seed, "crops", step, device=device)
    sizes = batch.sizes.to(device)
    boxes = scaled_boxes(sizes, rng, SCALE)
    return crop_with_masks(batch.images.to(device), batch.masks.to(device), sizes, boxes, size)


def crop_with_masks(images: Tensor, masks: Tensor, sizes: Tensor, boxes: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Images (N, 3, size, size) normalised and masks (N, size, size): mean colour and `IGNORE` beyond the image.

    Arguments as of `crop_resize_with_maps`.
    """
    cut, maps = crop_resize_with_maps(
        images, {"mask": masks}, boxes, size, modes={"mask": "mask"}, sizes=sizes, fill={"mask": IGNORE}
    )
    return normalise(cut) * inside(boxes, size, sizes)[:, None], maps["mask"]


def shrink(sample: DenseSample, most: int) -> tuple[Tensor, Tensor]:
    """Image (3, h, w) uint8 and mask (h, w), with a short side of at most `most` pixels."""
    assert sample.mask is not None
    height, width = sample.mask.shape
    factor = most / min(height, width)
    if factor >= 1:
        return sample.image, sample.mask
    shape = (max(most, round(factor * height)), max(most, round(factor * width)))
    mask = F.interpolate(sample.mask[None, None].float(), shape, mode="nearest-exact")[0, 0].long()
    return resize(sample.image, shape).byte(), mask


def resize(image: Tensor, shape: tuple[int, int]) -> Tensor:
    """(3, H, W) uint8 to (3, *shape) float32, whole numbers, with antialiasing."""
    resized = F.interpolate(image[None].float(), shape, mode="bilinear", antialias=True, align_corners=False)
    return resized[0].round().clamp(0, 255)


def stack(pictures: list[tuple[Tensor, Tensor]]) -> MaskBatch:
    """Images (3, h, w) with masks (h, w) on one canvas."""
    sizes = torch.tensor([list(mask.shape) for _, mask in pictures])
    height, width = (int(side) for side in sizes.amax(0))
    images = torch.zeros(len(pictures), 3, height, width, dtype=torch.uint8)
    masks = torch.full((len(pictures), height, width), IGNORE)
    for i, (image, mask) in enumerate(pictures):
        images[i, :, : image.shape[1], : image.shape[2]] = image
        masks[i, : mask.shape[0], : mask.shape[1]] = mask
    return MaskBatch(images=images, masks=masks, sizes=sizes)


@dataclass(frozen=True, kw_only=True)
class Windows:
    """An image as square windows that overlap along its long side.

    Attributes:
        images: (W, 3, size, size) float32 normalised.
        starts: first pixel of each along the long side.
        shape: of the image they are cut from.
        sample: the image as it is, with its mask.
    """

    images: Tensor
    starts: list[int]
    shape: tuple[int, int]
    sample: DenseSample


def windows_of(sample: DenseSample, size: int) -> Windows:
    """Windows of the image at a short side of `size`, as few as cover it, evenly spread; at most `LONGEST`."""
    height, width = sample.image.shape[1:]
    factor = size / min(height, width)
    rows, columns = (min(LONGEST * size, max(size, round(factor * side))) for side in (height, width))
    shape = (rows, columns)
    picture = normalise(resize(sample.image, shape)[None] / 255)[0]
    most = max(shape) - size
    starts = np.linspace(0, most, math.ceil(max(shape) / size)).round().astype(int).tolist()
    axis = 1 if shape[0] > shape[1] else 2
    images = torch.stack([picture.narrow(axis, start, size) for start in starts])
    return Windows(images=images, starts=starts, shape=shape, sample=sample)


def all_windows(samples: DenseSamples, size: int, rows: list[int] | None = None) -> Iterator[Windows]:
    """Windows of each image, or of those of some rows, in order."""
    chosen = list(range(len(samples))) if rows is None else rows
    return read_ahead(lambda i: windows_of(samples.read(chosen[i]), size), len(chosen), ahead=8)


def join(windows: Windows, scores: Tensor) -> Tensor:
    """Scores of windows (W, K, size, size) as those of the image as it is: (K, H, W), averaged where they overlap."""
    size = scores.shape[-1]
    whole = scores.new_zeros(scores.shape[1], *windows.shape)
    count = scores.new_zeros(windows.shape)
    axis = 1 if windows.shape[0] > windows.shape[1] else 2
    for start, values in zip(windows.starts, scores, strict=True):
        whole.narrow(axis, start, size).add_(values)
        count.narrow(axis - 1, start, size).add_(1)
    height, width = windows.sample.image.shape[1:]
    return F.interpolate((whole / count)[None], (height, width), mode="bilinear", align_corners=False)[0]
