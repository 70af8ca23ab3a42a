"""Pictures with the boxes that are there and those that were found, for people to look at."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from selftaught.evaluation.metrics.box_matches import Found, Truth

SIDE = 320
"""Pixels of the long side."""
SURE = 0.3
"""Score from which a box is drawn; the surest is drawn in any case."""
MOST = 10
THERE, FOUND = (60, 200, 90), (255, 140, 0)


def draw_boxes(image: Tensor, truth: Truth, found: Found, classes: Sequence[str]) -> bytes:
    """A PNG of a picture (3, H, W) uint8: true boxes in green (not those to be ignored), found ones in orange."""
    picture = Image.fromarray(np.ascontiguousarray(image.permute(1, 2, 0).numpy()))
    scale = SIDE / max(picture.size)
    picture = picture.resize((max(1, round(scale * picture.width)), max(1, round(scale * picture.height))))
    pen = ImageDraw.Draw(picture)
    for box, label in zip(truth.boxes[~truth.ignore], truth.labels[~truth.ignore], strict=True):
        _draw(pen, box * scale, THERE, classes[label])
    order = np.argsort(-found.scores, kind="stable")[:MOST]
    for place, i in enumerate(order):
        if place == 0 or found.scores[i] >= SURE:
            _draw(pen, found.boxes[i] * scale, FOUND, f"{classes[found.labels[i]]} {found.scores[i]:.2f}", at_foot=True)
    written = io.BytesIO()
    picture.save(written, "PNG", optimize=True)
    return written.getvalue()


def _draw(
    pen: ImageDraw.ImageDraw, box: np.ndarray, colour: tuple[int, int, int], text: str, *, at_foot: bool = False
) -> None:
    left, top, right, bottom = (float(edge) for edge in box)
    pen.rectangle((left, top, max(left, right), max(top, bottom)), outline=colour, width=2)
    corner = (left + 3, bottom - 13 if at_foot else top + 2)
    pen.rectangle(pen.textbbox(corner, text), fill=(0, 0, 0))
    pen.text(corner, text, fill=colour)
