"""Resizing, normalisation and answers that all ONNX programs of boxes and masks share."""

from __future__ import annotations

import numpy as np

from selftaught.evaluation.models.exported.graph import Graph
from selftaught.ops.colour import statistics


def sides_of(graph: Graph, images: str) -> tuple[str, str]:
    """Height and width (1,) int64 of images (N, H, W, C)."""
    return graph.op("Shape", images, start=1, end=2), graph.op("Shape", images, start=2, end=3)


def rounded(graph: Graph, x: str, least: int) -> str:
    """(1,) float64 -> int64, halves to the even number as Python rounds them, and at least `least`."""
    return graph.op("Max", graph.cast(graph.op("Round", x), "int64"), np.array([least]))


def resized(graph: Graph, images: str, height: str, width: str) -> str:
    """Images (N, H, W, C) uint8 -> (N, C, height, width) float32 in [0, 255], bilinear with antialiasing.

    As `torch.nn.functional.interpolate(antialias=True)`: one matrix for each axis, see `ops.crop.axis_weights`.
    """
    pixels = graph.cast(graph.op("Transpose", images, perm=[0, 3, 1, 2]), "float32")
    before = sides_of(graph, images)
    rows, columns = (_weights(graph, *sides) for sides in zip(before, (height, width), strict=True))
    return graph.op("MatMul", graph.op("MatMul", rows, pixels), graph.op("Transpose", columns, perm=[1, 0]))


def normalised(graph: Graph, pixels: str, channels: int) -> str:
    """(N, C, H, W) in [0, 255] -> as `ops.colour.normalise` gives them of [0, 1]."""
    mean, std = (np.array(values, np.float32).reshape(1, -1, 1, 1) for values in statistics(channels))
    shown = graph.op("Clip", graph.op("Div", pixels, 255.0), 0.0, 1.0)
    return graph.op("Div", graph.op("Sub", shown, mean), std)


def known(graph: Graph, probability: str, least: float) -> str:
    """Whether a probability is at least `least`, both as held_back.csv has them: with six places."""
    exact = graph.op("Mul", graph.cast(probability, "float64"), np.float64(1e6))
    return graph.op("GreaterOrEqual", graph.op("Round", exact), np.float64(round(1e6 * least)))


def _weights(graph: Graph, before: str, after: str) -> str:
    """(after, before) float32 that resample an axis; both are (1,) int64."""
    scale = graph.op("Div", graph.cast(before, "float64"), graph.cast(after, "float64"))
    centre = graph.op("Mul", _middles(graph, after), scale)
    gap = graph.op("Sub", _middles(graph, before), graph.op("Unsqueeze", centre, np.array([1])))
    share = graph.op("Div", graph.op("Abs", gap), graph.op("Max", scale, np.array([1.0])))
    weights = graph.op("Max", graph.op("Sub", np.float64(1), share), np.float64(0))
    total = graph.op("ReduceSum", weights, np.array([1]), keepdims=1)
    return graph.cast(graph.op("Div", weights, total), "float32")


def _middles(graph: Graph, count: str) -> str:
    """(count,) float64: 0.5, 1.5, ..."""
    return graph.op("Add", graph.cast(positions(graph, count), "float64"), np.float64(0.5))


def positions(graph: Graph, count: str) -> str:
    """(count,) int64: 0, 1, ..."""
    return graph.op("Range", np.int64(0), graph.op("Squeeze", count), np.int64(1))
