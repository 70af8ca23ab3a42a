"""Images that excite one channel most, found by gradient ascent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from selftaught.core.precision import autocast
from selftaught.encoders.base import Encoder
from selftaught.evaluation.visualise.gallery import Gallery
from selftaught.evaluation.visualise.read_stage import read_map
from selftaught.ops.colour import denormalise, normalise
from selftaught.ops.crop import blur_weights
from selftaught.ops.false_colours import in_colours
from selftaught.ops.sheet import fit

TILE = 64
"""Side of a drawn image, pixels."""
STARTS = 16
"""Noise images of which each channel begins with the one that excites it most; one that is 0 has no gradient."""
CONTRAST = 0.15
"""Least standard deviation of a drawn image, of 1 between black and white."""
DECAY = 1e-5
BLUR_EVERY = 5


@dataclass(frozen=True, kw_only=True)
class Ascent:
    """Images (K, 3, S, S) in [0, 1], and mean activations (K,) of the noise they began with and of themselves."""

    pictures: Tensor
    start: Tensor
    reached: Tensor


def ascend(
    encoder: Encoder,
    stage: str,
    channels: Sequence[int],
    *,
    size: int,
    steps: int,
    rate: float,
    blur: float,
    rng: Generator,
    precision: str = "auto",
) -> Ascent:
    """For each channel, the image that excites it most, by its mean over the stage's map.

    The recipe of DeepCluster (Caron et al., ECCV 2018, figure 4, and the released code; after Yosinski et al. 2015):
    from grey noise, ascend mean(a) - 1e-5 |x|^2 by steps of fixed length, with a blur every fifth step. Two things
    differ. The released code ascends the log softmax of mean(a) over the channels, which is flat once a channel is a
    few units above the others, so that the decay alone acts. And pixels stay those an image can have, so that
    activations can be compared with those of images.

    Args:
        size: side of the images, pixels.
        steps: of the ascent; 1000 in the paper's code.
        rate: Euclidean length of a step on a normalised image of 224 pixels a side, in proportion for others; 3 in
            the paper's code.
        blur: standard deviation of the blur, pixels; 0.3 in the paper's code.
        rng: draws the noise, on the CPU.
    """
    device = next(encoder.parameters()).device
    wanted = torch.tensor(channels, device=device)
    noise = (128 + 20 * torch.randn(STARTS, encoder.channels, size, size, generator=rng)).to(device) / 255
    x = normalise(noise.clamp(0, 1))
    with torch.no_grad():
        first = _means(encoder, stage, x, precision)
    start, best = first[:, wanted].max(0)
    x = x[best]
    matrix = blur_weights(torch.full((1,), blur, device=device), size)[0]
    for step in range(steps):
        x = _step(encoder, stage, wanted, x, rate * size / 224, precision)
        if step % BLUR_EVERY == 0 and blur > 0:
            x = matrix @ x @ matrix.T
        x = normalise(denormalise(x))
    with torch.no_grad():
        reached = _means(encoder, stage, x, precision)[torch.arange(len(wanted)), wanted]
    return Ascent(pictures=in_colours(denormalise(x)).cpu(), start=start.cpu(), reached=reached.cpu())


def _step(encoder: Encoder, stage: str, wanted: Tensor, x: Tensor, length: float, precision: str) -> Tensor:
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        reached = _means(encoder, stage, x, precision).gather(1, wanted[:, None])
        objective = reached.sum() - DECAY * x.square().sum()
        (gradient,) = torch.autograd.grad(objective, x)
    norm = gradient.square().sum((1, 2, 3), keepdim=True).sqrt()
    return x.detach() + length * gradient / (norm + 1e-8)


def _means(encoder: Encoder, stage: str, x: Tensor, precision: str) -> Tensor:
    """Mean activation of every channel (N, C) float32."""
    with autocast(x.device, precision):
        maps = read_map(encoder, stage, x)
    return maps.float().mean((2, 3))


def draw_filters(gallery: Gallery, file: str, ascent: Ascent, *, caption: str, highest: Tensor) -> dict[str, Any]:
    """A sheet "filters" of the index; `highest` (K,) is the largest mean activation of any image of the data."""
    tiles = fit(_contrasted(ascent.pictures), TILE)
    return gallery.add(file, tiles, columns=len(tiles), caption=caption) | {
        "start": _rounded(ascent.start),
        "reached": _rounded(ascent.reached),
        "pictures": _rounded(highest),
    }


def _contrasted(pictures: Tensor) -> Tensor:
    """Faint images with their differences enlarged to a standard deviation of `CONTRAST`."""
    mean = pictures.mean((1, 2, 3), keepdim=True)
    spread = (pictures - mean).square().mean((1, 2, 3), keepdim=True).sqrt()
    return (mean + (pictures - mean) * (CONTRAST / spread.clamp(min=1e-6)).clamp(min=1)).clamp(0, 1)


def _rounded(values: Tensor) -> list[float]:
    return [round(value, 4) for value in values.tolist()]
