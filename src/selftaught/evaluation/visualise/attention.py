"""Where in an image an encoder's features are strong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from selftaught.core.precision import autocast
from selftaught.encoders.feature_map import stage_maps
from selftaught.evaluation.visualise.gallery import Gallery
from selftaught.ops.colour import denormalise
from selftaught.ops.false_colours import in_colours
from selftaught.ops.sheet import fit

TILE = 80
"""Side of a drawn image, pixels."""
COLOURS = cv2.COLORMAP_INFERNO
STRENGTH = 0.6
"""Of the colours over the image."""


def attention(maps: Tensor, power: float = 2.0) -> Tensor:
    """sum_c |a_c|^power at every position: (N, C, h, w) -> (N, h, w) float32, at least 0.

    The activation-based attention of Zagoruyko & Komodakis (ICLR 2017, section 3.1), by which RotNet (Gidaris et al.,
    ICLR 2018, figure 3) shows what its layers look at.
    """
    return maps.float().abs().pow(power).sum(1)


def overlay(pictures: Tensor, maps: Tensor) -> Tensor:
    """Maps (N, h, w) in colour over grey images (N, 3, S, S) in [0, 1], each map stretched to its own range.

    A map without differences is drawn as its lowest value.
    """
    side = pictures.shape[-2:]
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    stretched = (maps - low) / (high - low).clamp(min=1e-12)
    smooth = F.interpolate(stretched[:, None], side, mode="bilinear", align_corners=False)[:, 0]
    levels = (smooth.clamp(0, 1) * 255).round().byte().cpu().numpy()
    # OpenCV's colours come as blue, green, red.
    coloured = np.stack([cv2.applyColorMap(level, COLOURS)[..., ::-1] for level in levels])
    heat = torch.from_numpy(coloured).permute(0, 3, 1, 2).float().to(pictures.device) / 255
    grey = pictures.mean(1, keepdim=True)
    return (1 - STRENGTH) * grey + STRENGTH * heat


@torch.no_grad()
def draw_attention(gallery: Gallery, rows: Sequence[int], stages: Sequence[str], *, power: float) -> dict[str, Any]:
    """The part "attention" of the index: a row for each of some images."""
    views = torch.cat(list(gallery.views(rows)))
    with autocast(views.device, gallery.precision):
        maps = stage_maps(gallery.encoder, views)
    pictures = in_colours(denormalise(views))
    columns = [pictures, *(overlay(pictures, attention(maps[stage], power)) for stage in stages)]
    tiles = fit(torch.stack(columns, 1).flatten(0, 1), TILE)
    caption = f"Attention of each stage: the sum over channels of |a|^{power:g}, bright where it is large."
    return gallery.add("attention.jpg", tiles, columns=len(columns), caption=caption) | {
        "heads": ["image", *stages],
        "keys": [gallery.key(row) for row in rows],
        "labels": [gallery.label(row) for row in rows],
    }
