"""A model of boxes as an ONNX program: an image as it is in, boxes in its own pixels out, overlapping ones left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models.detection.rpn import permute_and_flatten
from torchvision.ops import MultiScaleRoIAlign

from selftaught.evaluation.dense.box_batches import LONGEST, Canvas
from selftaught.evaluation.dense.detector import Detector
from selftaught.evaluation.models.exported.graph import Graph, program_of
from selftaught.evaluation.models.exported.images import known, normalised, resized, rounded, sides_of

if TYPE_CHECKING:
    import onnx

NONE = -1.0
"""Score of a candidate that does not count: below every threshold."""
ALL = -0.5
"""Threshold above which all others are."""


def boxes_program(detector: Detector, canvas: Canvas, least: float, told: dict[str, str]) -> onnx.ModelProto:
    """uint8 image (1, H, W, 3) -> "boxes" (D, 4) float32, "scores" (D,) float32 falling, "classes" (D,) int64 from 0.

    As `Detector.detect` on one image: boxes are left, top, right, bottom in the image's pixels; of those of a class
    that overlap by more than half only the surest is left, and at most 100 altogether.

    Args:
        detector: on the CPU, with plain convolutions.
        canvas: how it sees images.
        least: boxes of a lower score are left out; 0 for none.
        told: metadata.
    """
    g = Graph()
    sides = sides_of(g, "images")
    shape = _shape(g, sides, canvas)
    picture = normalised(g, resized(g, "images", *shape), 3)
    spare = [g.op("Sub", _whole(g, side, canvas), side) for side in shape]
    ends = g.op("Concat", np.zeros(6, np.int64), *spare, axis=0)
    found = g.run(_proposing(detector, canvas), g.op("Pad", picture, ends))
    count = 2 * detector.rpn_levels
    high, wide = (g.cast(side, "float32") for side in shape)
    limits = g.op("Concat", wide, high, wide, high, axis=0)
    proposals = _proposals(g, detector, found[:count], limits)
    pooled = _pooled(g, detector.roi_heads.box_roi_pool, found[count:], proposals)
    scores, boxes = g.run(_answering(detector), pooled, proposals)
    boxes, scores, labels = _answers(g, detector, scores, boxes, limits)
    scale = [
        g.op("Div", *(g.cast(x, "float64") for x in pair))
        for pair in zip(reversed(shape), reversed(sides), strict=True)
    ]
    boxes = g.op("Div", g.cast(boxes, "float64"), g.op("Concat", *scale, *scale, axis=0))
    boxes = g.cast(boxes, "float32")
    if least:
        sure = known(g, scores, least)
        boxes, scores, labels = (g.op("Compress", x, sure, axis=0) for x in (boxes, scores, labels))
    return g.program(
        {"images": ("uint8", (1, "height", "width", 3))},
        {
            "boxes": (boxes, "float32", ("found", 4)),
            "scores": (scores, "float32", ("found",)),
            "classes": (labels, "int64", ("found",)),
        },
        told,
    )


def _shape(g: Graph, sides: tuple[str, str], canvas: Canvas) -> list[str]:
    """Height and width that an image is resized to, as `Canvas.scale` says."""
    exact = [g.cast(side, "float64") for side in sides]
    longest = g.op("Max", *exact)
    if canvas.side is not None:
        scale = g.op("Div", np.array([float(canvas.side)]), longest)
    else:
        short = g.op("Div", np.array([float(canvas.size)]), g.op("Min", *exact))
        scale = g.op("Min", short, g.op("Div", np.array([LONGEST * canvas.size]), longest))
    return [rounded(g, g.op("Mul", scale, side), 1) for side in exact]


def _whole(g: Graph, side: str, canvas: Canvas) -> str:
    """The side (1,) of the canvas that holds a side, as `Canvas.shape` says."""
    parts = g.op("Div", g.op("Add", g.op("Max", side, np.array([canvas.least])), canvas.multiple - 1), canvas.multiple)
    return g.op("Mul", parts, canvas.multiple)


class _Proposing(nn.Module):
    """Canvas (1, 3, H, W) -> of each level that proposes: objectness (A,) and boxes (A, 4); then the maps to read."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: Tensor) -> list[Tensor]:
        rpn, pool = self.detector.rpn, self.detector.roi_heads.box_roi_pool
        maps = self.detector.neck(self.detector.maps(images))
        levels = list(maps.values())[: self.detector.rpn_levels]
        found: list[Tensor] = []
        for level, (objectness, deltas) in enumerate(zip(*rpn.head(levels), strict=True)):
            anchors = rpn.anchor_generator._of(level, levels[level])
            n, a, h, w = objectness.shape
            flat = permute_and_flatten(deltas, n, a, 4, h, w)[0]
            found += [
                permute_and_flatten(objectness, n, a, 1, h, w).flatten(),
                rpn.box_coder.decode_single(flat, anchors),
            ]
        return found + [maps[name] for name in pool.featmap_names]


def _proposing(detector: Detector, canvas: Canvas) -> onnx.ModelProto:
    if canvas.side is not None:
        return program_of(_Proposing(detector), [(1, 3, canvas.side, canvas.side)], [{}])
    unit, fewest = canvas.multiple, -(-max(canvas.least, canvas.size) // canvas.multiple)
    shape = (1, 3, unit * (fewest + 2), unit * (fewest + 1))
    axes = {2: unit * torch.export.Dim("rows", min=fewest), 3: unit * torch.export.Dim("columns", min=fewest)}
    return program_of(_Proposing(detector), [shape], [axes])


class _Answering(nn.Module):
    """Candidates (R, C, s, s) with their boxes (R, 4) -> scores (R, K) and boxes (R, K, 4), without the background."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.heads = detector.roi_heads

    def forward(self, pooled: Tensor, proposals: Tensor) -> tuple[Tensor, Tensor]:
        logits, deltas = self.heads.box_predictor(self.heads.box_head(pooled))
        boxes = self.heads.box_coder.decode_single(deltas, proposals)
        return logits.softmax(1)[:, 1:], boxes.unflatten(1, (-1, 4))[:, 1:]


def _candidate_shape(detector: Detector) -> tuple[int, ...]:
    """Channels and sides of what the heads are given of one candidate."""
    high, wide = detector.roi_heads.box_roi_pool.output_size
    channels = detector.rpn.head.head.conv[0][0].in_channels  # the maps that propose are those that are read
    return channels, high, wide


def _answering(detector: Detector) -> onnx.ModelProto:
    shape = _candidate_shape(detector)
    axes = {0: torch.export.Dim("candidates", min=1)}
    return program_of(_Answering(detector), [(3, *shape), (3, 4)], [axes, axes])


def _proposals(g: Graph, detector: Detector, levels: list[str], limits: str) -> str:
    """The candidates (R, 4) of all levels, surest first, as torchvision's `filter_proposals` chooses them."""
    rpn = detector.rpn
    scores, boxes, at = [], [], []
    for level in range(detector.rpn_levels):
        objectness, found = levels[2 * level : 2 * level + 2]
        best, rows = _top(g, objectness, rpn.pre_nms_top_n())
        scores.append(best)
        boxes.append(g.op("Gather", found, rows, axis=0))
        at.append(g.op("Expand", np.int64(level), g.op("Shape", rows)))
    kept = _inside(g, g.op("Concat", *boxes, axis=0), limits)
    score = g.op("Sigmoid", g.op("Concat", *scores, axis=0))
    score = g.op("Where", _large(g, kept, rpn.min_size), score, NONE)
    own = g.op("Equal", g.op("Unsqueeze", g.op("Concat", *at, axis=0), np.array([0])),
               np.arange(detector.rpn_levels)[:, None])  # fmt: skip
    by_level = g.op("Unsqueeze", g.op("Where", own, score, NONE), np.array([0]))
    chosen = _suppressed(g, g.op("Unsqueeze", kept, np.array([0])), by_level, rpn.nms_thresh, ALL)
    rows = g.op("Gather", chosen, np.int64(2), axis=1)
    _, order = _top(g, g.op("Gather", score, rows, axis=0), rpn.post_nms_top_n())
    return g.op("Gather", kept, g.op("Gather", rows, order, axis=0), axis=0)


def _pooled(g: Graph, pool: MultiScaleRoIAlign, maps: list[str], boxes: str) -> str:
    """(R, C, s, s) of candidates (R, 4), each from the map that suits its size."""
    high, wide = pool.output_size
    none = g.op("Expand", np.int64(0), g.op("Shape", boxes, start=0, end=1))
    read = [
        g.op("RoiAlign", values, boxes, none, coordinate_transformation_mode="output_half_pixel", output_height=high,
             output_width=wide, sampling_ratio=pool.sampling_ratio, spatial_scale=float(scale))
        for values, scale in zip(maps, pool.scales, strict=True)
    ]  # fmt: skip
    mapper = pool.map_levels
    side = g.op("Sqrt", _area(g, boxes))
    found = read[0]
    for level in range(1, len(read)):
        # floor(log2(side / scale) + eps) is at least the level's number.
        least = mapper.s0 * 2.0 ** (level + mapper.k_min - mapper.lvl0 - mapper.eps)
        is_larger = g.op("GreaterOrEqual", side, float(least))
        found = g.op("Where", g.op("Unsqueeze", is_larger, np.array([1, 2, 3])), read[level], found)
    return found


def _answers(g: Graph, detector: Detector, scores: str, boxes: str, limits: str) -> tuple[str, str, str]:
    """Boxes (D, 4), scores (D,) and classes (D,), surest first, as torchvision's `postprocess_detections`."""
    heads = detector.roi_heads
    kept = _inside(g, g.op("Transpose", boxes, perm=[1, 0, 2]), limits)  # (K, R, 4)
    score = g.op("Where", _large(g, kept, 1e-2), g.op("Transpose", scores, perm=[1, 0]), NONE)
    of_class = g.op("Unsqueeze", score, np.array([1]))
    chosen = _suppressed(g, kept, of_class, heads.nms_thresh, heads.score_thresh)
    place = g.op("Gather", chosen, np.array([0, 2]), axis=1)
    best, order = _top(g, g.op("GatherND", score, place), heads.detections_per_img)
    place = g.op("Gather", place, order, axis=0)
    return g.op("GatherND", kept, place), best, g.op("Gather", place, np.int64(0), axis=1)


def _top(g: Graph, scores: str, most: int) -> tuple[str, str]:
    """The best of scores (A,), at most so many of them, falling, and their rows."""
    count = g.op("Min", g.op("Shape", scores), np.array([most]))
    best, rows = g.ops("TopK", 2, scores, count, axis=0)
    return best, rows


def _suppressed(g: Graph, boxes: str, scores: str, overlap: float, least: float) -> str:
    """(S, 3) int64: batch, class and row of boxes (B, A, 4) whose scores (B, K, A) are above `least`.

    None of them overlaps a surer one of its batch and class by more than `overlap`.
    """
    most = np.array([np.iinfo(np.int64).max])
    return g.op("NonMaxSuppression", boxes, scores, most, float(overlap), float(least))


def _inside(g: Graph, boxes: str, limits: str) -> str:
    """Boxes (..., 4) cut to the image, whose width and height twice are `limits` (4,)."""
    return g.op("Min", g.op("Max", boxes, 0.0), limits)


def _lengths(g: Graph, boxes: str) -> str:
    """Width and height (..., 2)."""
    ends, starts = (g.op("Gather", boxes, np.array(columns), axis=-1) for columns in ([2, 3], [0, 1]))
    return g.op("Sub", ends, starts)


def _large(g: Graph, boxes: str, least: float) -> str:
    """Whether both sides of boxes (..., 4) are at least so long."""
    return g.op("GreaterOrEqual", g.op("ReduceMin", _lengths(g, boxes), np.array([-1]), keepdims=0), float(least))


def _area(g: Graph, boxes: str) -> str:
    """(R,)."""
    return g.op("ReduceProd", _lengths(g, boxes), np.array([1]), keepdims=0)
