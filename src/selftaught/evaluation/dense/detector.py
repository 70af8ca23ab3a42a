"""Faster R-CNN (Ren et al., NeurIPS 2015) on the stages of an encoder, from torchvision's parts."""

from __future__ import annotations

from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead

from selftaught.core.randomness import generator, seed_from
from selftaught.encoders.base import Encoder
from selftaught.encoders.trimmed_convolutions import trim_kernels
from selftaught.evaluation.dense.detector_heads import (
    SHAPES,
    Anchors,
    LastLayers,
    Target,
    anchor_sizes,
    last_side,
    make_heads,
    make_pooler,
    make_proposals,
)
from selftaught.evaluation.dense.detector_necks import OneMap, Pyramid, c4_stages, pyramid_stages
from selftaught.evaluation.dense.stage_maps import Reading, StageMaps, freeze_norms, layers_after


class Detector(nn.Module):
    """Images to boxes.

    Attributes:
        rpn_levels: how many maps of the neck propose boxes.
    """

    def __init__(
        self,
        maps: StageMaps,
        neck: Pyramid | OneMap,
        rpn: RegionProposalNetwork,
        roi_heads: RoIHeads,
        *,
        rpn_levels: int,
    ) -> None:
        super().__init__()
        self.maps = maps
        self.neck = neck
        self.rpn = rpn
        self.roi_heads = roi_heads
        self.rpn_levels = rpn_levels
        freeze_norms(roi_heads)
        trim_kernels(self)

    def losses(self, images: Tensor, sizes: list[tuple[int, int]], targets: list[Target]) -> dict[str, Tensor]:
        """The four losses of Faster R-CNN, of proposals and of boxes; in training mode.

        Args:
            images: (N, 3, H, W) normalised, padded at the right and at the bottom.
            sizes: height and width of each image in it.
            targets: of each image.
        """
        losses: dict[str, Tensor] = self._run(images, sizes, targets)[1]
        return losses

    def detect(self, images: Tensor, sizes: list[tuple[int, int]]) -> list[dict[str, Tensor]]:
        """Of each image "boxes" (D, 4), "scores" (D,) falling and "labels" (D,) from 1 on; in evaluation mode."""
        found: list[dict[str, Tensor]] = self._run(images, sizes, None)[0]
        return found

    def train(self, mode: bool = True) -> Self:
        """Batch normalisation stays as it is."""
        super().train(mode)
        freeze_norms(self.roi_heads)
        return self

    def _run(self, images: Tensor, sizes: list[tuple[int, int]], targets: list[Target] | None) -> Any:
        maps = self.neck(self.maps(images))
        proposing = dict(list(maps.items())[: self.rpn_levels])
        proposals, first = self.rpn(ImageList(images, sizes), proposing, targets)
        found, second = self.roi_heads(maps, proposals, sizes, targets)
        return found, first | second


def build_detector(
    encoder: Encoder,
    reading: Reading,
    *,
    num_classes: int,
    neck: Literal["fpn", "c4"],
    stage: str | None,
    is_frozen: bool,
    size: int,
    channels: int,
    hidden: int,
    rois: int,
    proposals: int,
    precision: str,
    seed: int,
) -> Detector:
    """A detector with fresh heads, drawn by `seed`, around `encoder` itself.

    Args:
        encoder: is trained in place.
        reading: `read_stages(encoder)`.
        num_classes: without the background.
        neck: "fpn" reads up to four stages, "c4" one.
        stage: of c4; None is the last of a stride up to 16.
        is_frozen: the encoder does not learn; layers of it that became c4's head do.
        size: short side of the images, pixels.
        channels: of the pyramid.
        hidden: width of the two fully connected layers, where the encoder has no layers left for the head.
        rois: candidates of an image that its boxes are learned from in a step.
        proposals: candidates of an image in evaluation.
        precision: of the encoder and of the dense layers, as a run's; boxes are computed in 32 bits.
        seed: of weights and of the candidates drawn in training.
    """
    stages = c4_stages(encoder, reading, stage) if neck == "c4" else pyramid_stages(reading, size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_from(seed, "detector"))
        maps = StageMaps(encoder, stages, is_frozen=is_frozen, precision=precision)
        read: Pyramid | OneMap
        if neck == "c4":
            read, tail, channels = OneMap(stages[0]), layers_after(encoder, stages[0].name), stages[0].channels
        else:
            read, tail = Pyramid(stages, channels, precision), None
        if tail is None:
            side, head, width = 7, TwoMLPHead(channels * 7 * 7, hidden), hidden
        else:
            side, head, width = last_side(size, stages[0].stride), LastLayers(maps, tail), stages[-1].channels
        anchors = Anchors(anchor_sizes(size, read.all_strides), read.all_strides)
        rpn_head = RPNHead(channels, len(SHAPES) * len(anchors.sizes[0]))
        predictor = FastRCNNPredictor(width, num_classes + 1)
    rng = generator(seed, "candidates")
    return Detector(
        maps,
        read,
        make_proposals(rpn_head, anchors, rng, proposals, precision),
        make_heads(make_pooler(read.strides, side), head, predictor, rng, rois, precision),
        rpn_levels=len(anchors.sizes),
    )
