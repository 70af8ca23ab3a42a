"""Unsupervised optical flow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Input
from selftaught.encoders.base import Encoder
from selftaught.ops.clips.windows import inner_areas
from selftaught.ops.colour import denormalise, normalise, to_grey
from selftaught.ops.crop import crop_resize, random_boxes
from selftaught.ops.flow import correlation, warp
from selftaught.tasks.base import Map, PretextTask, Recipe, Shown
from selftaught.tasks.parts.hypercolumn import check_places, placed_stages, stage_shapes

LEVELS = ((12.7, 3), (4.35, 2), (3.9, 2), (3.4, 1), (1.1, 1))
"""Weight of the loss at each resolution, the finest first, and how far its census windows reach, in pixels."""
BORDER = 0.1
"""Share of the side that is left out at each edge, as what is there moves out of the frame."""
LEAST_SIDE = 4
"""Pixels of the coarsest flow that has a loss of its own."""


@dataclass
class Example:
    """Two consecutive frames of each clip (2 N, 3, S, S), normalised: all first ones, then all second ones."""

    images: Tensor


class UnsupervisedFlow(PretextTask):
    """Estimate optical flow without labels, so that one frame, warped by it, becomes the other (Meister, Hur, Roth,
    AAAI 2018).

    Link: https://arxiv.org/abs/1711.07837 (UnFlow)

    Flow: two frames (N, 2, 3, H, W) -> the same crop of both (2 N, 3, S, S) -> shared 2-D encoder, its maps of several
    resolutions -> from coarse to fine, correlation of the first frame's features with those of the second, warped by
    the flow found so far, within `reach` cells -> convolutions -> flow in both directions w_f, w_b (N, 2, s, s) of each
    resolution.

    Loss at each resolution, to which the frames are scaled, with the weights of `LEVELS`; with rho(x) = (x^2 +
    0.001^2)^0.45, summed over both directions: rho of the Hamming distance of soft census transforms (7 x 7 to 3 x 3)
    of a frame and the other one, warped, where a pixel is not occluded; `occlusion` for each pixel that is; `smooth`
    times rho of the second differences of the flow along four directions; `consistent` times rho of w_f(x) + w_b(x +
    w_f(x)). A pixel is occluded where |w_f(x) + w_b(x + w_f(x))|^2 > 0.01 (|w_f|^2 + |w_b|^2) + 0.5, as what it shows
    is then hidden in the other frame.

    To match, features must tell the same point of a thing from others in another pose and light.

    The metric is the gain: 1 - census distance after warping / census distance without motion, outside of the border.
    Chance is 0.

    Shortcut: nothing need be matched where all pixels are called occluded or led out of the frame, and changes of
    brightness and black bars favour wrong flow. Guard: an occluded pixel costs as much as one that is matched badly,
    and none counts as occluded in the first steps (`unmasked`); a pixel that is led out of the frame is compared with
    its edge, and only a border of a tenth of the side is left out, whatever its flow; census transforms change little
    with brightness and contrast; windows are cut between the bars.

    Differences from the paper: the encoder is any one of images, with correlations from coarse to fine (as in PWC-Net,
    Sun et al. 2018) instead of a FlowNetC, each adding `reach` cells at most, and without a stack of two; the finest
    flow has half of the image's side instead of a quarter; occlusion is masked after the first steps in all data; no
    geometric and photometric changes of the frames. Weights, windows and constants are those of the paper's code.
    """

    recipe = Recipe(optimizer="adamw", lr=1e-3, weight_decay=1e-4, clip=1.0)  # 1.25e-4 for 32 pairs; the paper: 1e-4

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        stride: Annotated[int, Range(least=1)] = 1
        """Distance between the two frames, in frames of the video."""
        reach: Annotated[int, Range(least=1, most=8)] = 3
        """Displacements, in cells of each resolution, at which features are compared."""
        width: Annotated[int, Range(least=8)] = 64
        """Channels of the convolutions after correlation."""
        smooth: Annotated[float, Range(least=0)] = 3.0
        """Weight of second-order smoothness."""
        occlusion: Annotated[float, Range(least=0)] = 12.4
        """Loss of a pixel that is occluded."""
        unmasked: Annotated[float, Range(least=0, below=1)] = 0.3
        """Share of the run's steps in which no pixel counts as occluded, as all flow is wrong at first."""
        consistent: Annotated[float, Range(least=0)] = 0.2
        """Weight of the consistency of both directions."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.5
        """Smallest share of the frame's area that a crop covers."""

    masks: Tensor

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        check_places(encoder)
        self.encoder = encoder
        self.config = config
        self.size = size
        self.levels = _levels(encoder, size)
        # Whether occlusion is counted, on the device, so that no step waits for it and a resumed run has it.
        self.register_buffer("masks", torch.tensor(config.unmasked == 0))
        compared = (2 * config.reach + 1) ** 2
        shapes = stage_shapes(encoder, size)
        self.reduce = nn.ModuleList(nn.Conv2d(shapes[stage][0], 32, 1) for stage in self.levels)
        self.refine = nn.ModuleList(_estimator(compared + 32 + 2, config.width) for _ in self.levels)

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"video": Clip(frames=2, stride=config.stride)}

    def metric_name(self) -> str:
        return "gain"

    def chance(self, batch_size: int) -> float:
        return 0.0

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Two frames (N, 2, 3, H, W) uint8 -> `Example`; the pseudo-label is the other frame."""
        video = batch["video"]
        areas = inner_areas(video, self.size)
        scale = (self.config.min_scale, 1.0)
        boxes = random_boxes(len(video), areas[:, 2], areas[:, 3], rng, scale=scale, ratio=(1, 1))
        boxes = torch.cat([boxes[:, :2] + areas[:, :2], boxes[:, 2:]], 1)
        frames = crop_resize(video.transpose(0, 1).flatten(0, 1), boxes.repeat(2, 1), self.size)
        return Example(normalise(frames))

    def forward(self, example: Example) -> list[Tensor]:
        """Flow (2 N, 2, s, s), forwards then backwards, in pixels of each resolution, the finest last."""
        images = example.images.contiguous(memory_format=torch.channels_last)
        stages = placed_stages(self.encoder, images)
        flow = images.new_zeros(len(images), 2, 1, 1, dtype=torch.float32)
        found = []
        for stage, reduce, refine in zip(self.levels, self.reduce, self.refine, strict=True):
            own = F.normalize(reduce(stages[stage]).float(), dim=1)
            other = torch.cat(own.chunk(2)[::-1])
            side = own.shape[-1]
            flow = resized_flow(flow, side)
            matches = correlation(own, warp(other, flow.detach()), self.config.reach)
            change = refine(torch.cat([matches, own, flow / side], 1)).float()
            # What is further away is not compared; unbounded, flow may run away to where nothing leads back.
            flow = flow + self.config.reach * torch.tanh(change / self.config.reach)
            found.append(flow)
        return [flow for flow in found if flow.shape[-1] >= LEAST_SIDE] or [resized_flow(found[-1], self.size)]

    def loss(self, prediction: list[Tensor], example: Example) -> dict[str, Tensor]:
        """The loss of all resolutions; gain and share of occluded pixels of the finest."""
        config = self.config
        whole = 255 * to_grey(denormalise(example.images.float()))
        total, weights, scalars = whole.new_zeros(()), 0.0, dict[str, Tensor]()
        for level, flow in enumerate(reversed(prediction)):
            weight, reach = LEVELS[min(level, len(LEVELS) - 1)]
            grey = F.adaptive_avg_pool2d(whole, flow.shape[-1])
            other = torch.cat(grey.chunk(2)[::-1])
            own_census = census(grey, reach)
            back = torch.cat(flow.chunk(2)[::-1])
            difference = flow + warp(back, flow)
            occluded, inner = _occluded(flow, back, difference.detach()) & self.masks, _inner(flow.shape[-1], flow)
            seen = (inner & ~occluded).float()
            distance = hamming(own_census, census(warp(other, flow), reach))
            data = (robust(distance) * seen + config.occlusion * occluded).mean()
            agree = (robust(difference) * seen).mean()
            total = total + weight * (data + config.smooth * roughness(flow) + config.consistent * agree)
            weights += weight
            if level:
                continue
            with torch.no_grad():
                still = hamming(own_census, census(other, reach))
                gain = 1 - (distance * inner).sum() / (still * inner).sum().clamp(min=1e-6)
                speed = flow.detach().norm(dim=1).mean() * self.size / flow.shape[-1]
            scalars = {"gain": gain, "occluded": occluded.float().mean(), "speed": speed}
        return {"loss": 2 * total / weights, **scalars}

    def after_step(self, step: int, total: int) -> None:
        self.masks.fill_(step + 1 >= self.config.unmasked * total)

    def show(self, example: Example, prediction: list[Tensor], count: int) -> list[Shown]:
        """Both frames as a clip, the second frame, and the flow between them."""
        first, second = denormalise(example.images).chunk(2)
        return [
            Shown(
                inputs=[torch.stack([first[n], second[n]])],
                pseudo_label=second[n],
                prediction=Map(values=resized_flow(prediction[-1][n : n + 1].detach(), self.size)[0], kind="flow"),
            )
            for n in range(min(count, len(first)))
        ]


def census(grey: Tensor, reach: int = 3) -> Tensor:
    """Soft ternary census transform: grey (N, 1, H, W) in [0, 255] -> (N, (2 reach + 1)^2, H, W) in (-1, 1).

    The difference d of each pixel of the window from its middle, as d / sqrt(0.81 + d^2).
    """
    edged = F.pad(grey, (reach,) * 4, mode="replicate")
    around = F.unfold(edged, 2 * reach + 1).unflatten(2, grey.shape[-2:])
    difference = around - grey
    result: Tensor = difference / (0.81 + difference.square()).sqrt()
    return result


def hamming(first: Tensor, second: Tensor) -> Tensor:
    """Soft Hamming distance of census transforms (N, C, H, W) -> (N, 1, H, W): the sum of e^2 / (0.1 + e^2)."""
    squared = (first - second).square()
    distance: Tensor = (squared / (0.1 + squared)).sum(1, keepdim=True)
    return distance


def robust(x: Tensor) -> Tensor:
    """Generalised Charbonnier penalty (x^2 + 0.001^2)^0.45."""
    penalty: Tensor = (x.square() + 1e-6).pow(0.45)
    return penalty


def roughness(flow: Tensor) -> Tensor:
    """Mean penalty of the second differences of flow (N, 2, H, W) along x, y and both diagonals, sum of components."""
    middle = flow[..., 1:-1, 1:-1]
    pairs = (
        (flow[..., 1:-1, :-2], flow[..., 1:-1, 2:]),
        (flow[..., :-2, 1:-1], flow[..., 2:, 1:-1]),
        (flow[..., :-2, :-2], flow[..., 2:, 2:]),
        (flow[..., :-2, 2:], flow[..., 2:, :-2]),
    )
    return torch.stack([robust(before - 2 * middle + after).mean((0, 2, 3)).sum() for before, after in pairs]).mean()


@torch.no_grad()
def _occluded(flow: Tensor, back: Tensor, difference: Tensor) -> Tensor:
    """Where (N, 1, H, W) bool the flow (N, 2, H, W) and that back from where it leads do not agree."""
    lengths = flow.square().sum(1, keepdim=True) + warp(back, flow).square().sum(1, keepdim=True)
    return difference.square().sum(1, keepdim=True) > 0.01 * lengths + 0.5


def _inner(side: int, like: Tensor) -> Tensor:
    """(1, 1, side, side) bool, False in a border of a tenth of the side."""
    border = math.ceil(BORDER * side)
    place = torch.arange(side, device=like.device)
    inner = (place >= border) & (place < side - border)
    return (inner[:, None] & inner)[None, None]


def resized_flow(flow: Tensor, side: int) -> Tensor:
    """Flow (N, 2, h, h) at another resolution, in its pixels."""
    before = flow.shape[-1]
    if before == side:
        return flow
    return F.interpolate(flow, (side, side), mode="bilinear", align_corners=False) * (side / before)


def _levels(encoder: Encoder, size: int) -> list[str]:
    """The last stage of each resolution, the coarsest first, up to half of the image's."""
    sides = {shape[-1]: stage for stage, shape in stage_shapes(encoder, size).items()}
    allowed = max(size // 2, min(sides))
    return [sides[side] for side in sorted(sides) if side <= allowed]


def _estimator(channels: int, width: int) -> nn.Sequential:
    """Convolutions to a correction of the flow, 0 at first, so that nothing is occluded."""
    last = nn.Conv2d(width, 2, 3, padding=1)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1),
        nn.LeakyReLU(0.1),
        nn.Conv2d(width, width, 3, padding=1),
        nn.LeakyReLU(0.1),
        last,
    )
