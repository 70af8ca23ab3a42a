"""A model of masks as an ONNX program: images as they are in, the class of each of their pixels out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from selftaught.evaluation.dense.mask_batches import LONGEST
from selftaught.evaluation.dense.segmentation_heads import Segmenter
from selftaught.evaluation.models.exported.graph import Graph, program_of
from selftaught.evaluation.models.exported.images import known, normalised, positions, resized, rounded, sides_of
from selftaught.evaluation.models.semantics import UNSURE

if TYPE_CHECKING:
    import onnx


def masks_program(network: Segmenter, size: int, least: float, told: dict[str, str]) -> onnx.ModelProto:
    """uint8 images (N, H, W, 3) of one size -> "classes" (N, H, W) uint8 and "probability" (N, H, W) float32.

    As `predictions` and `join`: windows along the long side, whose probabilities are averaged where they overlap, and
    enlarged to the image. An image is looked at as of at most `LONGEST` times its short side.

    Args:
        network: on the CPU, with plain convolutions.
        size: side of its windows, pixels.
        least: pixels of a lower probability are `UNSURE`; 0 for none.
        told: metadata.
    """
    inner = program_of(network, [(2, 3, size, size)], [{0: torch.export.Dim("windows", min=1)}])
    g = Graph()
    sides = sides_of(g, "images")
    short = g.op("Min", *sides)
    factor = g.op("Div", np.array([float(size)]), g.cast(short, "float64"))
    height, width = (
        g.op("Min", rounded(g, g.op("Mul", factor, g.cast(side, "float64")), size), np.array([LONGEST * size]))
        for side in sides
    )
    pixels = g.op("Clip", g.op("Round", resized(g, "images", height, width)), 0.0, 255.0)
    picture = normalised(g, pixels, 3)
    cut = _Windows(g, height, width, size)
    (scores,) = g.run(inner, cut.split(picture))
    whole = cut.join(g.op("Softmax", scores, axis=1))
    shape = g.op("Concat", g.op("Shape", whole, start=0, end=2), *sides, axis=0)
    answers = g.op("Resize", whole, None, None, shape, mode="linear")
    probability = g.op("ReduceMax", answers, np.array([1]), keepdims=0)
    classes = g.cast(g.op("ArgMax", answers, axis=1, keepdims=0), "uint8")
    if least:
        classes = g.op("Where", known(g, probability, least), classes, np.uint8(UNSURE))
    shape_of_all = ("images", "height", "width")
    return g.program(
        {"images": ("uint8", (*shape_of_all, 3))},
        {"classes": (classes, "uint8", shape_of_all), "probability": (probability, "float32", shape_of_all)},
        told,
    )


class _Windows:
    """Square windows along the long side of images of one size, evenly spread; see `dense.mask_batches.windows_of`."""

    def __init__(self, graph: Graph, height: str, width: str, size: int) -> None:
        g = self.graph = graph
        self.height, self.width, self.size = height, width, size
        is_high = g.cast(g.op("Greater", height, width), "int64")
        longest = self.longest = g.op("Max", height, width)
        self.count = g.op("Div", g.op("Add", longest, size - 1), np.array([size]))
        most = g.cast(g.op("Sub", longest, size), "float64")
        gaps = g.op("Max", g.op("Sub", self.count, 1), np.array([1]))
        step = g.op("Div", most, g.cast(gaps, "float64"))
        numbers = g.cast(positions(g, self.count), "float64")
        self.starts = g.cast(g.op("Round", g.op("Mul", numbers, step)), "int64")
        self.rows = g.op("Mul", self.starts, is_high)
        self.columns = g.op("Sub", self.starts, self.rows)
        y, x = positions(g, height), positions(g, width)
        self.y, self.x = g.op("Unsqueeze", y, np.array([1])), g.op("Unsqueeze", x, np.array([0]))
        along = g.op("Mul", self.y, is_high)
        self.along = g.op("Add", along, g.op("Mul", self.x, g.op("Sub", 1, is_high)))

    def split(self, images: str) -> str:
        """(N, C, height, width) -> (N windows, C, size, size), those of an image one after the other."""
        g, side = self.graph, np.arange(self.size)
        y = g.op("Add", g.op("Unsqueeze", self.rows, np.array([1, 2])), side[None, :, None])
        x = g.op("Add", g.op("Unsqueeze", self.columns, np.array([1, 2])), side[None, None])
        place = g.op("Add", g.op("Mul", y, self.width), x)
        flat = g.op("Reshape", images, np.array([0, 0, -1]))
        found = g.op("Transpose", g.op("Gather", flat, place, axis=2), perm=[0, 2, 1, 3, 4])
        return g.op("Reshape", found, np.array([-1, 3, self.size, self.size]))

    def join(self, values: str) -> str:
        """(N windows, K, size, size) -> (N, K, height, width).

        No pixel is in more than two windows, for they are as few as cover the image: the mean of the first and of the
        last one that it is in is that of all.
        """
        g = self.graph
        kinds = g.op("Shape", values, start=1, end=2)
        apart = g.op("Concat", np.array([-1]), self.count, kinds, np.array([self.size] * 2), axis=0)
        by_class = g.op("Transpose", g.op("Reshape", values, apart), perm=[0, 2, 1, 3, 4])
        flat = g.op("Reshape", by_class, np.array([0, 0, -1]))
        line = g.op("Unsqueeze", positions(g, self.longest), np.array([1]))
        place = g.op("Sub", line, self.starts)
        inside = g.op("And", g.op("GreaterOrEqual", place, 0), g.op("Less", place, self.size))
        both = [
            g.op("Gather", flat, self._place(g.op("ArgMax", g.cast(inside, "uint8"), axis=1, keepdims=0,
                                                  select_last_index=last)), axis=2)
            for last in (0, 1)
        ]  # fmt: skip
        return g.op("Div", g.op("Add", *both), 2.0)

    def _place(self, window: str) -> str:
        """Where each pixel (height, width) is among those of all windows, given the window of each along the image."""
        g = self.graph
        window = g.op("Gather", window, self.along)
        y = g.op("Sub", self.y, g.op("Gather", self.rows, window))
        x = g.op("Sub", self.x, g.op("Gather", self.columns, window))
        row = g.op("Add", g.op("Mul", window, self.size), y)
        return g.op("Add", g.op("Mul", row, self.size), x)
