"""Images with their true and predicted masks, for people to look at."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision.io import encode_png
from torchvision.transforms.functional import InterpolationMode, resize
from torchvision.utils import draw_segmentation_masks

from selftaught.data.annotations.dense_sample import IGNORE
from selftaught.ops.draw_maps import palette
from selftaught.ops.sheet import evenly

SIDE = 220
"""Pixels of the long side of one image."""
GAP = 4
MOST_FRAMES = 16
"""Of an animation; more are thinned out."""
FRAME_MS = 125
"""Milliseconds for which a frame is shown."""
QUALITY = 80
"""Of WebP, 0 to 100."""
SOLID = 0.8
"""Share of the colour of a class in a pixel; the rest is the image."""
CLEAR = 0.55
"""The same in an animation, where the background is not covered."""
UNTOLD = (255, 255, 255)


def draw_masks(image: Tensor, truth: NDArray[np.int64], predicted: NDArray[np.int64], count: int) -> bytes:
    """A PNG of three images side by side: the image (3, H, W) uint8, its true mask (H, W), the predicted one.

    Masks cover the image but for a little that shines through; pixels without a class are white in the true mask.
    """
    colours = [tuple(colour) for colour in palette(count).tolist()] + [UNTOLD] * (IGNORE + 1 - count)
    small = _small(image)
    covered = [_covered(small, mask, colours, SOLID) for mask in (truth, predicted)]
    return bytes(encode_png(_beside(small, *covered)).numpy())


def animate_masks(
    frames: Iterable[NDArray[np.uint8]], truth: Mapping[int, NDArray[np.uint8]], predicted: NDArray[np.uint8]
) -> bytes:
    """An animated WebP of frames (H, W, 3) with the true masks (H, W) of objects beside the predicted ones.

    Args:
        frames: of the whole video, in order.
        truth: frame -> its true mask; frames without one show none.
        predicted: (T - 1, H, W), from the second frame on.
    """
    chosen = set(evenly(len(predicted) + 1, MOST_FRAMES))
    colours = [tuple(colour) for colour in palette(IGNORE + 1).tolist()]
    shown = []
    for t, pixels in enumerate(frames):
        if t not in chosen:
            continue
        small = _small(torch.from_numpy(pixels).movedim(-1, 0))
        masks = truth.get(t), predicted[t - 1] if t else truth[0]
        covered = [small if mask is None else _covered(small, mask, colours, CLEAR) for mask in masks]
        shown.append(Image.fromarray(_beside(*covered).movedim(0, -1).numpy()))
    data = io.BytesIO()
    first, *others = shown
    first.save(data, "WEBP", save_all=True, append_images=others, duration=FRAME_MS, loop=0, quality=QUALITY)
    return data.getvalue()


def _small(image: Tensor) -> Tensor:
    """(3, H, W) uint8 with the long side at most `SIDE`."""
    scale = min(1.0, SIDE / max(image.shape[1:]))
    resized: Tensor = resize(image, [max(1, round(scale * side)) for side in image.shape[1:]], antialias=True)
    return resized


def _covered(image: Tensor, mask: NDArray[np.integer], colours: Sequence[tuple[int, ...]], share: float) -> Tensor:
    """The image under the colours of its mask (H, W); the background is covered where `share` is `SOLID`."""
    small = resize(torch.from_numpy(mask)[None], list(image.shape[1:]), InterpolationMode.NEAREST)
    present = small.unique() if share == SOLID else small[small > 0].unique()
    if not len(present):
        return image
    chosen = [colours[number] for number in present.tolist()]
    drawn: Tensor = draw_segmentation_masks(image, small == present[:, None, None], share, chosen)
    return drawn


def _beside(*images: Tensor) -> Tensor:
    gap = torch.full((3, images[0].shape[1], GAP), UNTOLD[0], dtype=torch.uint8)
    parts = [part for image in images for part in (gap, image)]
    return torch.cat(parts[1:], dim=2)
