"""The same random crop, resize and mirror of pictures and of the class masks that belong to them."""

from __future__ import annotations

import torch
from torch import Tensor

from selftaught.core.randomness import uniform
from selftaught.ops.colour import normalise
from selftaught.ops.crop import crop_resize


def scaled_boxes(
    sizes: Tensor, rng: torch.Generator, scale: tuple[float, float] = (0.5, 2.0), flip: float = 0.5
) -> Tensor:
    """Square boxes (N, 4) as `crop_resize` takes them: pictures at a random scale, cut at a random place.

    At scale 1 a box is as high or wide as the short side of the picture; a box larger than the picture holds all of it
    somewhere. Scale 0.5 to 2, crop and mirror are DeepLab's augmentation (Chen et al.,
    arXiv 1706.05587, section 4).

    Args:
        sizes: (N, 2) height and width of each picture in pixels.
        scale: range of the scale, uniform.
        flip: probability of a mirror image (negative width).
    """
    n = len(sizes)
    side = sizes.amin(1) / uniform((n,), *scale, rng)
    top, left = (uniform((n, 2), 0, 1, rng) * (sizes - side[:, None])).unbind(1)
    mirrored = uniform((n,), 0, 1, rng) < flip
    return torch.stack([top, torch.where(mirrored, left + side, left), side, torch.where(mirrored, -side, side)], 1)


def crop_with_masks(
    images: Tensor, masks: Tensor, sizes: Tensor, boxes: Tensor, size: int, fill: int
) -> tuple[Tensor, Tensor]:
    """Cut a box from every picture and from its mask, and resize both to a square.

    Args:
        images: (N, 3, H, W) uint8, each picture at the upper left, anything beyond it.
        masks: (N, H, W) class of each pixel.
        sizes: (N, 2) height and width of each picture.
        boxes: (N, 4) top, left, height, width in pixels, perhaps beyond the picture; a negative width mirrors.
        size: side of the result in pixels.
        fill: class of pixels outside of the picture, which get the mean colour.

    Returns:
        Pictures (N, 3, size, size) float32 normalised, resampled with antialiasing; masks (N, size, size), of the
        nearest pixel.
    """
    steps = (torch.arange(size, device=boxes.device) + 0.5) / size
    rows, columns = (boxes[:, i, None] + boxes[:, i + 2, None] * steps for i in (0, 1))
    within_rows, within_columns = ((at >= 0) & (at < sizes[:, i, None]) for i, at in enumerate((rows, columns)))
    within = within_rows[:, :, None] & within_columns[:, None, :]
    y, x = rows.long().clamp(0, masks.shape[1] - 1), columns.long().clamp(0, masks.shape[2] - 1)
    number = torch.arange(len(masks), device=masks.device)[:, None, None]
    cut = masks[number, y[:, :, None], x[:, None, :]].masked_fill(~within, fill)
    pictures = normalise(crop_resize(images, boxes, size))
    return pictures * within[:, None], cut
