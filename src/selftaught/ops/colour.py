"""Colour as one affine map for each image: jitter, grey, normalisation.

Brightness, contrast, saturation, hue rotation (in YIQ) and conversion to grey are affine in RGB, so
any chain of them is one 3 x 3 matrix and one offset for each image, and costs one small product. Two
differences from torchvision's chain: values are cut to [0, 1] once at the end instead of after every
step, and hue turns in YIQ instead of HSV (as NVIDIA DALI does).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from selftaught.core.randomness import uniform

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
LUMA = (0.299, 0.587, 0.114)
_RGB_TO_YIQ = ((0.299, 0.587, 0.114), (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135))


def normalise(images: Tensor, out: Tensor | None = None) -> Tensor:
    """Images (N, 3, H, W) in [0, 1] -> zero mean, unit variance by ImageNet's statistics, channels last.

    `out` is written to where given, such as a part of a larger batch. Pictures that a network made keep their gradient.
    """
    scale = 1 / images.new_tensor(IMAGENET_STD).view(1, 3, 1, 1)
    shift = -images.new_tensor(IMAGENET_MEAN).view(1, 3, 1, 1) * scale
    if images.requires_grad:
        return torch.addcmul(shift, images, scale).contiguous(memory_format=torch.channels_last)
    if out is None:
        out = torch.empty_like(images, memory_format=torch.channels_last)
    return torch.addcmul(shift, images, scale, out=out)


def denormalise(images: Tensor) -> Tensor:
    """Undo `normalise`; result in [0, 1]."""
    mean = images.new_tensor(IMAGENET_MEAN).view(1, 3, 1, 1)
    std = images.new_tensor(IMAGENET_STD).view(1, 3, 1, 1)
    return (images * std + mean).clamp(0, 1)


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

    Factors are uniform in [max(0, 1 - s), 1 + s], hue uniform in [-hue, hue] turns; the four steps
    come in random order, with probability `jitter`; then grey with probability `grey`.
    Images (N, 3, H, W) in [0, 1] -> the same shape, cut to [0, 1].
    """
    n = images.shape[0]
    mean = images.mean((2, 3))
    matrix = torch.eye(3, device=images.device).expand(n, 3, 3)
    offset = torch.zeros(n, 3, device=images.device)
    strengths = (brightness, contrast, saturation, hue)
    for step in torch.randperm(4, generator=rng, device=rng.device).tolist():
        low, high = (-hue, hue) if step == 3 else (max(0.0, 1 - strengths[step]), 1 + strengths[step])
        amount = uniform((n,), low, high, rng)
        linear = _step_matrix(step, amount)
        if step == 1:
            now = torch.einsum("nij,nj->ni", matrix, mean) + offset
            shift = ((1 - amount) * (now @ now.new_tensor(LUMA)))[:, None].expand(n, 3)
        else:
            shift = torch.zeros_like(offset)
        matrix, offset = torch.bmm(linear, matrix), torch.einsum("nij,nj->ni", linear, offset) + shift
    chosen = uniform((n,), 0, 1, rng) < jitter
    matrix = torch.where(chosen[:, None, None], matrix, torch.eye(3, device=images.device))
    offset = torch.where(chosen[:, None], offset, torch.zeros_like(offset))
    luma = images.new_tensor(LUMA).expand(3, 3)
    greyed = uniform((n,), 0, 1, rng) < grey
    matrix = torch.where(greyed[:, None, None], luma @ matrix, matrix)
    offset = torch.where(greyed[:, None], offset @ luma.T, offset)
    return affine_colour(images, matrix, offset).clamp_(0, 1)


def affine_colour(images: Tensor, matrix: Tensor, offset: Tensor) -> Tensor:
    """`matrix @ rgb + offset` at every pixel: images (N, 3, H, W), matrix (N, 3, 3), offset (N, 3)."""
    n, c, h, w = images.shape
    flat: Tensor = torch.baddbmm(offset[:, :, None], matrix, images.reshape(n, c, h * w))
    return flat.view(n, c, h, w)


def to_grey(images: Tensor) -> Tensor:
    """Luma of (..., 3, H, W) in any range -> (..., 1, H, W)."""
    weights = images.new_tensor(LUMA).view(3, 1, 1)
    return (images * weights).sum(-3, keepdim=True)


def _step_matrix(step: int, amount: Tensor) -> Tensor:
    """Linear part (N, 3, 3) of brightness (0), contrast (1), saturation (2) or hue (3)."""
    eye = torch.eye(3, device=amount.device)
    if step in (0, 1):
        return amount[:, None, None] * eye
    if step == 2:
        luma = amount.new_tensor(LUMA).expand(3, 3)
        return amount[:, None, None] * eye + (1 - amount)[:, None, None] * luma
    angle = amount * 2 * math.pi
    turn = torch.zeros(len(amount), 3, 3, device=amount.device)
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = angle.cos()
    turn[:, 1, 2], turn[:, 2, 1] = angle.sin(), -angle.sin()
    to_yiq = amount.new_tensor(_RGB_TO_YIQ)
    linear: Tensor = torch.linalg.inv(to_yiq) @ turn @ to_yiq
    return linear
