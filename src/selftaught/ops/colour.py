"""Colour as one affine map for each image: jitter, grey, normalisation.

Brightness, contrast, saturation, hue rotation (in YIQ) and conversion to grey are affine in RGB, so
any chain of them is one 3 x 3 matrix and one offset for each image, and costs one small product. Two
differences from torchvision's chain: values are cut to [0, 1] once at the end instead of after every
step, and hue turns in YIQ instead of HSV (as NVIDIA DALI does). The four steps then commute: saturation and hue
keep the luma and every grey, and contrast moves all pixels by one grey.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from selftaught.core.randomness import uniform

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
COLOURS = 3
OTHER_MEAN, OTHER_STD = 0.5, 0.25
"""Of every channel of images that are no colours, where 0 and 1 are the ends of its range in the data."""
LUMA = (0.299, 0.587, 0.114)
_RGB_TO_YIQ = np.array([LUMA, (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135)])
_LINEAR = [
    (np.linalg.inv(_RGB_TO_YIQ) @ np.array(kept) @ _RGB_TO_YIQ).tolist()
    for kept in (
        [(1, 0, 0), (0, 0, 0), (0, 0, 0)],
        [(0, 0, 0), (0, 1, 0), (0, 0, 1)],
        [(0, 0, 0), (0, 0, 1), (0, -1, 0)],
    )
]
"""In RGB: the grey part; the rest; the rest rotated by 90 degrees."""


def statistics(channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Means and standard deviations that images of so many channels are normalised by."""
    if channels == COLOURS:
        return IMAGENET_MEAN, IMAGENET_STD
    return (OTHER_MEAN,) * channels, (OTHER_STD,) * channels


def normalise(images: Tensor, out: Tensor | None = None) -> Tensor:
    """Images (N, C, H, W) in [0, 1] -> about zero mean and unit variance, channels last.

    By ImageNet's statistics where C is 3; else by `OTHER_MEAN` and `OTHER_STD`.
    `out` is written to where given, such as a part of a larger batch. Generated images keep their gradient.
    """
    mean, std = (images.new_tensor(values).view(1, -1, 1, 1) for values in statistics(images.shape[1]))
    scale = 1 / std
    shift = -mean * scale
    if images.requires_grad:
        return torch.addcmul(shift, images, scale).contiguous(memory_format=torch.channels_last)
    if out is None:
        out = torch.empty_like(images, memory_format=torch.channels_last)
    return torch.addcmul(shift, images, scale, out=out)


def denormalise(images: Tensor) -> Tensor:
    """Undo `normalise`; result in [0, 1]."""
    mean, std = (images.new_tensor(values).view(1, -1, 1, 1) for values in statistics(images.shape[1]))
    return (images * std + mean).clamp(0, 1)


def normalise_clips(clips: Tensor) -> Tensor:
    """As `normalise`, of clips (N, 3, T, H, W), which are then `channels_last_3d`."""
    return normalise(clips.flatten(2, 3)).view(clips.shape)


def denormalise_clips(clips: Tensor) -> Tensor:
    """As `denormalise`, of clips (N, 3, T, H, W)."""
    return denormalise(clips.flatten(2, 3)).view(clips.shape)


def colour_jitter(
    images: Tensor,
    rng: torch.Generator,
    brightness: float = 0.8,
    contrast: float = 0.8,
    saturation: float = 0.8,
    hue: float = 0.2,
    jitter: float = 0.8,
    grey: float = 0.2,
) -> Tensor:
    """Random colour distortion of SimCLR (Chen et al. 2020, appendix A), one draw for each image.

    Factors are uniform in [max(0, 1 - s), 1 + s], hue uniform in [-hue, hue] turns, with probability `jitter`; then
    grey with probability `grey`. Images (N, C, H, W) in [0, 1] -> the same shape, cut to [0, 1]. Where C is not 3,
    brightness and contrast alone change, which are drawn alike.
    """
    strengths = (brightness, contrast, saturation, hue)
    return affine_colour(images, *_drawn_map(images, rng, strengths, jitter, grey)).clamp_(0, 1)


def normalised_jitter(
    images: Tensor,
    rng: torch.Generator,
    brightness: float = 0.8,
    contrast: float = 0.8,
    saturation: float = 0.8,
    hue: float = 0.2,
    jitter: float = 0.8,
    grey: float = 0.2,
    out: Tensor | None = None,
) -> Tensor:
    """`normalise(colour_jitter(...), out)` with fewer passes over the pixels; `images` without gradient."""
    matrix, offset = _drawn_map(images, rng, (brightness, contrast, saturation, hue), jitter, grey)
    means, stds = statistics(images.shape[1])
    scale = 1 / images.new_tensor(stds)
    shift = -images.new_tensor(means) * scale
    coloured = affine_colour(images, scale[:, None] * matrix, scale * offset + shift)
    if out is None:
        out = torch.empty_like(images, memory_format=torch.channels_last)
    for channel, (mean, std) in enumerate(zip(means, stds, strict=True)):
        torch.clamp(coloured[:, channel], -mean / std, (1 - mean) / std, out=out[:, channel])
    return out


def _drawn_map(
    images: Tensor, rng: torch.Generator, strengths: tuple[float, float, float, float], jitter: float, grey: float
) -> tuple[Tensor, Tensor]:
    """The draw of `colour_jitter` as `colour_map`."""
    n = images.shape[0]
    amounts = [torch.empty(0)] * 4
    # The order changes nothing but which of the generator's numbers is which: that of runs of earlier versions.
    for step in torch.randperm(4, generator=rng, device=rng.device).tolist():
        s = strengths[step]
        amounts[step] = uniform((n,), *((-s, s) if step == 3 else (max(0.0, 1 - s), 1 + s)), rng)
    is_changed = uniform((n,), 0, 1, rng) < jitter
    amounts = [torch.where(is_changed, amount, one) for amount, one in zip(amounts, (1.0, 1.0, 1.0, 0.0), strict=True)]
    amounts[2] = torch.where(uniform((n,), 0, 1, rng) < grey, 0.0, amounts[2])
    return colour_map(images, *amounts)


def colour_map(
    images: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor, hue: Tensor
) -> tuple[Tensor, Tensor]:
    """Matrix (N, C, C) and offset (N, C) of `affine_colour` that change images (N, C, H, W) as asked.

    Saturation and hue are of colours: where C is not 3, they change nothing.

    Args:
        images: of which contrast needs the mean luma.
        brightness: (N,) factors, as contrast and saturation; 1 changes nothing, a saturation of 0 is grey.
        hue: (N,) in turns, 0 changes nothing.
    """
    channels = images.shape[1]
    if channels != COLOURS:
        matrix = torch.eye(channels, device=images.device, dtype=images.dtype) * (brightness * contrast)[:, None, None]
        return matrix, (brightness * (1 - contrast) * images.mean((1, 2, 3)))[:, None].expand(-1, channels)
    basis = images.new_tensor(_LINEAR).view(3, 9)
    angle = hue * (2 * math.pi)
    turn = torch.stack([torch.ones_like(angle), saturation * angle.cos(), saturation * angle.sin()], 1)
    matrix = (turn @ basis).view(-1, 3, 3) * (brightness * contrast)[:, None, None]
    luma = images.mean((2, 3)) @ images.new_tensor(LUMA)
    return matrix, (brightness * (1 - contrast) * luma)[:, None].expand(-1, 3)


def affine_colour(images: Tensor, matrix: Tensor, offset: Tensor) -> Tensor:
    """`matrix @ rgb + offset` at every pixel: images (N, 3, H, W), matrix (N, 3, 3), offset (N, 3)."""
    n, c, h, w = images.shape
    flat: Tensor = torch.baddbmm(offset[:, :, None], matrix, images.reshape(n, c, h * w))
    return flat.view(n, c, h, w)


def to_grey(images: Tensor) -> Tensor:
    """Luma of (..., 3, H, W) in any range -> (..., 1, H, W)."""
    weights = images.new_tensor(LUMA).view(3, 1, 1)
    return (images * weights).sum(-3, keepdim=True)


def coarse_colour(images: Tensor) -> Tensor:
    """Images whose colour has a quarter of the resolution of their brightness: (N, 3, H, W) float -> the same shape.

    Video stores colour at half the resolution (4:2:0), by filters that differ along x and along y: in what FFmpeg has
    coded from noise, neighbouring pixels differ in colour by a fifth more along x than along y. At a quarter, the mean
    of 4 x 4 pixels, nothing of that is left to see.
    """
    grey = to_grey(images)
    small = F.avg_pool2d(images - grey, 4, ceil_mode=True, count_include_pad=False)
    coarse: Tensor = grey + F.interpolate(small, size=images.shape[-2:], mode="bilinear", align_corners=False)
    return coarse
