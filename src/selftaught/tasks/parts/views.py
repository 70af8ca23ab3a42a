"""Views of one image for tasks that bring them together."""

from __future__ import annotations

from torch import Generator, Tensor

from selftaught.ops.colour import normalised_jitter
from selftaught.ops.crop import random_resized_crop


def distorted_view(
    images: Tensor,
    size: int,
    rng: Generator,
    *,
    min_scale: float,
    jitter: float,
    grey: float,
    blur: float,
    out: Tensor | None = None,
) -> Tensor:
    """A random-resized crop, mirrored half the time, with colour distortion and blur (SimCLR, 2020, appendix A).

    Args:
        images: (N, 3, H, W) uint8.
        size: side S of the view in pixels.
        min_scale: smallest share of the image's area that a crop covers, in (0, 1].
        jitter: strength of the colour distortion, at least 0. Brightness, contrast and saturation change by up to
            0.8 * jitter and the hue by up to 0.2 * jitter turns, in 80 % of the views.
        grey: probability of a grey view.
        blur: probability of a blurred view.
        out: (N, 3, S, S), written to where given.

    Returns:
        (N, 3, S, S) float32, normalised, channels last.
    """
    crops = random_resized_crop(images, size, rng, scale=(min_scale, 1.0), blur=blur)
    strength = 0.8 * jitter
    return normalised_jitter(crops, rng, strength, strength, strength, 0.2 * jitter, grey=grey, out=out)
