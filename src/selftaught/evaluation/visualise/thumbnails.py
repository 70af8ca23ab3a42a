"""Samples as small JPEG and WebP files, for pages that show what a probe found."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from selftaught.data.store.samples import Samples
from selftaught.ops.colour import COLOURS
from selftaught.ops.false_colours import in_colours
from selftaught.ops.sheet import evenly

SIDE = 96
"""Pixels of an image's side at most."""
MOST_FRAMES = 16
"""Of a clip; more are thinned out."""
SECONDS = 2.0
"""That a clip is shown for, before it begins again."""
QUALITY = 85


def picture_files(samples: Samples, rows: NDArray[np.int64], name: str) -> dict[int, tuple[str, bytes]]:
    """{row: (file name, data)} of some rows: a JPEG of the image, or the middle clip of a video as animated WebP.

    Empty for samples without images, which are sound alone.
    """
    found: dict[int, tuple[str, bytes]] = {}
    views = samples.eval_draws(len(samples), 1)[0]
    for row in np.unique(rows):
        host = samples.read(np.array([row]), views[[row]])
        seen = next((one for one in host.inputs.values() if one.ndim >= 4), None)
        if seen is None:
            return {}
        frames = seen if seen.ndim == 4 else seen[0, evenly(seen.shape[1], MOST_FRAMES)]
        suffix, data = _encoded([_small(frame) for frame in frames])
        found[int(row)] = (f"{name}-{row}.{suffix}", data)
    return found


def drawn(pixels: NDArray[Any]) -> Image.Image:
    """An image of pixels (H, W, C), uint8; channels other than three are drawn in hues."""
    if pixels.shape[2] != COLOURS:
        shown = in_colours(torch.from_numpy(pixels).movedim(-1, 0).float() / 255).mul(255).round().byte()
        pixels = np.ascontiguousarray(shown.movedim(0, -1).numpy())
    return Image.fromarray(pixels)


def _small(pixels: NDArray[Any]) -> Image.Image:
    image = drawn(pixels)
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return image


def _encoded(frames: list[Image.Image]) -> tuple[str, bytes]:
    """The ending and the bytes of a file: of one frame an image, of several an animation."""
    data = io.BytesIO()
    first, *others = frames
    if not others:
        first.save(data, "JPEG", quality=QUALITY)
        return "jpg", data.getvalue()
    each = round(1000 * SECONDS / len(frames))  # milliseconds
    first.save(data, "WEBP", save_all=True, append_images=others, duration=each, loop=0, quality=QUALITY)
    return "webp", data.getvalue()
