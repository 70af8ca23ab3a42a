"""Proposals and boxes: torchvision's heads with anchors in proportion to the image and randomness of their own."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.poolers import LevelMapper

from selftaught.core.precision import autocast
from selftaught.evaluation.dense.detector_necks import C4_STRIDE, PUBLISHED_SIDE
from selftaught.evaluation.dense.stage_maps import StageMaps, Standardise, freeze_norms

ANCHORS = (32, 64, 128, 256, 512)
SHAPES = (0.5, 1.0, 2.0)
"""Height over width of anchors."""
COVERED = 0.7
"""Share of a candidate's area in a region to be ignored from which it teaches nothing (CROWD_FILTER_THRESH of the
Detectron of Girshick et al. 2018)."""

Target = dict[str, Tensor]
"""Of one image: "boxes" (K, 4) float32 in its pixels, "labels" (K,) int64 from 1 on, "ignore" (J, 4) float32."""


def anchor_sizes(size: int, strides: Sequence[float]) -> list[list[float]]:
    """Sides of the anchors of each map, pixels, in proportion to the image's short side.

    At 800 pixels and strides 4 to 64 that is one for each map, eight times its stride, as published for pyramids; one
    map alone has all five. On smaller images strides are coarse beside the anchors, so that a map has those of the
    next ones too; maps that are left without any propose nothing.
    """
    sizes = [anchor * size / PUBLISHED_SIDE for anchor in ANCHORS]
    coarse = round(math.log2(max(1.0, 8 * strides[0] / sizes[0])))
    each = min(len(sizes), max(1 + coarse, len(sizes) + 1 - len(strides)))
    return [sizes[i : i + each] for i in range(len(sizes) + 1 - each)]


class Anchors(nn.Module):
    """Boxes of every size and shape around every position of every map; see torchvision's `AnchorGenerator`.

    That one rounds sides to whole pixels, too coarse for small images, and guesses strides from the maps' sides.
    """

    def __init__(self, sizes: Sequence[Sequence[float]], strides: Sequence[float]) -> None:
        super().__init__()
        self.sizes = sizes
        self.strides = strides

    def forward(self, images: ImageList, maps: Sequence[Tensor]) -> list[Tensor]:
        """(A, 4) for each image: maps one after the other, then rows, columns, shapes, sizes."""
        anchors = torch.cat([self._of(i, value) for i, value in enumerate(maps)])
        return [anchors for _ in images.image_sizes]

    def _of(self, level: int, features: Tensor) -> Tensor:
        sides = features.new_tensor(self.sizes[level])
        roots = features.new_tensor(SHAPES).sqrt()[:, None]
        halves = torch.stack([(sides / roots).flatten(), (sides * roots).flatten()], 1) / 2
        rows, columns = (
            torch.arange(n, device=features.device, dtype=torch.float32) * self.strides[level]
            for n in features.shape[-2:]
        )
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        centres = torch.stack([x, y], -1).reshape(-1, 1, 2)
        return torch.cat([centres - halves, centres + halves], 2).reshape(-1, 4)


class Drawn:
    """Draws the candidates that a step learns from, as torchvision does, by a generator of its own.

    (A,) labels of each image: positive ones, 0 for background, -1 to leave out -> masks (A,) of both kinds.
    """

    def __init__(self, count: int, positive: float, rng: Generator) -> None:
        self.count = count
        self.positive = positive
        self.rng = rng

    def __call__(self, labels: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        chosen, others = [], []
        for each in labels:
            right = self._draw(each >= 1, int(self.count * self.positive))
            chosen.append(right)
            others.append(self._draw(each == 0, self.count - int(right.sum())))
        return chosen, others

    def _draw(self, candidates: Tensor, count: int) -> Tensor:
        rows = candidates.nonzero().squeeze(1)
        picked = rows[torch.randperm(len(rows), generator=self.rng)[:count].to(rows.device)]
        return torch.zeros_like(candidates).index_fill_(0, picked, True)


def covered(boxes: Tensor, regions: Tensor) -> Tensor:
    """(A,) bool: whether one of `regions` (J, 4) holds more than `COVERED` of a box's (A, 4) area."""
    low = torch.maximum(boxes[:, None, :2], regions[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], regions[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(2)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1).clamp(min=1e-6)
    return (shared > COVERED * area[:, None]).any(1)


class ProposalNetwork(RegionProposalNetwork):  # type: ignore[misc]
    """torchvision's, in which anchors in an ignored region are not background."""

    def assign_targets_to_anchors(
        self, anchors: list[Tensor], targets: list[Target]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Labels and matched boxes of the anchors of each image."""
        labels, boxes = super().assign_targets_to_anchors(anchors, targets)
        for each, candidates, target in zip(labels, anchors, targets, strict=True):
            each[(each == 0) & covered(candidates, target["ignore"])] = -1
        return labels, boxes


class BoxHeads(RoIHeads):  # type: ignore[misc]
    """torchvision's, without proposals in an ignored region."""

    def select_training_samples(self, proposals: list[Tensor], targets: list[Target]) -> Any:
        """What a step learns from."""
        kept = [boxes[~covered(boxes, target["ignore"])] for boxes, target in zip(proposals, targets, strict=True)]
        return super().select_training_samples(kept, targets)


def last_side(size: int, stride: float) -> int:
    """Positions a side of a candidate that goes through the last layers.

    The published 14 on a map of 800 / 16, in the same proportion on a smaller one, which has no more detail and whose
    cost grows with their square; even, for most last layers halve it, and at least 4.
    """
    return min(14, max(4, 2 * round(7 * (size / stride) / (PUBLISHED_SIDE / C4_STRIDE))))


class LastLayers(nn.Module):
    """C4's head: the encoder's own last layers on every candidate (He et al., CVPR 2016): (R, C, s, s) -> (R, D).

    What goes in and comes out is on the encoder's scale and standardised here as everywhere.
    """

    def __init__(self, maps: StageMaps, layers: nn.Sequential) -> None:
        super().__init__()
        # A copy, for the encoder goes on to its end by its own and a head learns even where the encoder does not.
        self.layers = copy.deepcopy(layers).requires_grad_(True)
        freeze_norms(self.layers)
        first, last = maps.standardise[0], maps.standardise[-1]
        assert isinstance(first, Standardise)
        assert isinstance(last, Standardise)
        self.before, self.after = first, last

    def forward(self, x: Tensor) -> Tensor:
        pooled: Tensor = self.after(self.layers(self.before.undo(x)).float().mean((2, 3)))
        return pooled


class InPrecision(nn.Module):
    """A head in the run's precision, whose results are 32-bit again."""

    def __init__(self, head: nn.Module, precision: str) -> None:
        super().__init__()
        self.head = head
        self.precision = precision

    def forward(self, x: Any) -> Any:
        device = x.device if isinstance(x, Tensor) else x[0].device
        with autocast(device, self.precision):
            found = self.head(x)
        return (
            found.float() if isinstance(found, Tensor) else tuple([value.float() for value in part] for part in found)
        )


def make_proposals(
    head: nn.Module, anchors: Anchors, rng: Generator, proposals: int, precision: str
) -> RegionProposalNetwork:
    """With the thresholds and numbers of the published detectors; `proposals` are kept of an image in the test."""
    network = ProposalNetwork(
        anchors,
        InPrecision(head, precision),
        fg_iou_thresh=0.7,
        bg_iou_thresh=0.3,
        batch_size_per_image=256,
        positive_fraction=0.5,
        pre_nms_top_n={"training": 2000, "testing": 1000},
        post_nms_top_n={"training": 1000, "testing": proposals},
        nms_thresh=0.7,
    )
    network.fg_bg_sampler = Drawn(256, 0.5, rng)
    return network


def make_heads(
    pooler: MultiScaleRoIAlign, head: nn.Module, predictor: nn.Module, rng: Generator, rois: int, precision: str
) -> RoIHeads:
    """The same for boxes; `rois` candidates of an image are learned from."""
    heads = BoxHeads(
        pooler,
        InPrecision(head, precision),
        predictor,
        fg_iou_thresh=0.5,
        bg_iou_thresh=0.5,
        batch_size_per_image=rois,
        positive_fraction=0.25,
        bbox_reg_weights=None,
        # Published detectors cut at 0.05; lower scores never reduce an average precision, and weak detectors need them.
        score_thresh=0.01,
        nms_thresh=0.5,
        detections_per_img=100,
    )
    heads.fg_bg_sampler = Drawn(rois, 0.25, rng)
    return heads


def make_pooler(strides: Sequence[float], side: int) -> MultiScaleRoIAlign:
    """Candidates below 28 strides' side are read from the finest map, below 56 from the next (FPN, equation 1)."""
    pooler = MultiScaleRoIAlign([str(i) for i in range(len(strides))], output_size=side, sampling_ratio=2)
    # torchvision would guess both from the first batch, as powers of 2.
    pooler.scales = [1 / stride for stride in strides]
    pooler.map_levels = LevelMapper(0, len(strides) - 1, canonical_scale=round(14 * strides[0]), canonical_level=0)
    return pooler
