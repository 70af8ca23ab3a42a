"""Images with the boxes that are there and those that were found, for people to look at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torchvision.io import encode_png
from torchvision.transforms.functional import resize
from torchvision.utils import draw_bounding_boxes

from selftaught.evaluation.metrics.box_matches import Found, Truth

SIDE = 320
"""Pixels of the long side."""
SURE = 0.3
"""Score from which a box is drawn; the surest is drawn in any case."""
MOST = 10
THERE, FOUND = (60, 200, 90), (255, 140, 0)


def draw_boxes(image: Tensor, truth: Truth, found: Found, classes: Sequence[str]) -> bytes:
    """A PNG of an image (3, H, W) uint8: true boxes in green (not those to be ignored), found ones in orange."""
    scale = SIDE / max(image.shape[-2:])
    size = [max(1, round(scale * side)) for side in image.shape[-2:]]
    order = np.argsort(-found.scores, kind="stable")[:MOST]
    order = order[(found.scores[order] >= SURE) | (np.arange(len(order)) == 0)]
    there = ~truth.ignore
    # True boxes come last, and names of found ones a line lower, so that a name at the same corner covers none.
    boxes = np.concatenate([found.boxes[order], truth.boxes[there]]).reshape(-1, 4) * scale
    labels = [f"\n{classes[found.labels[i]]} {found.scores[i]:.2f}" for i in order]
    labels += [classes[label] for label in truth.labels[there]]
    canvas = resize(image, size, antialias=True)
    if labels:
        colours = [FOUND] * len(order) + [THERE] * int(there.sum())
        corners = torch.from_numpy(np.concatenate([boxes[:, :2], np.maximum(boxes[:, :2], boxes[:, 2:])], axis=1))
        canvas = draw_bounding_boxes(
            canvas,
            corners,
            labels,
            colors=colours,
            width=2,
            fill_labels=True,
            label_colors=colours,
            label_background_colors="black",
        )
    return bytes(encode_png(canvas).numpy())
