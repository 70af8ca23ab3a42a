"""Flow similarity."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from selftaught.core.randomness import uniform
from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Computed, Input
from selftaught.encoders.base import Encoder
from selftaught.ops.colour import denormalise
from selftaught.tasks.base import Map, PretextTask, Recipe, Shown
from selftaught.tasks.parts.clips.flow_crops import crop_with_flow
from selftaught.tasks.parts.hypercolumn import Hypercolumn, placed_stages

CELL = 4
"""Pixels of a crop, along each side, to one pixel of the embedding."""
LEAST_FLOW = 0.25
"""Root mean square of a crop's flow, in pixels, below which it is not scaled up: it is noise."""


@dataclass
class Example:
    """Frames (N, 3, S, S) normalised, flow (N, 2, M, M) in pixels of the crop, and places (N, P) int64 among M x M."""

    images: Tensor
    flow: Tensor
    places: Tensor


class FlowSimilarity(PretextTask):
    """Embed the pixels of a single frame so that those that move alike are alike (Mahendran, Thewlis, Vedaldi, ACCV
    2018).

    Link: https://arxiv.org/abs/1807.05636 (Cross Pixel Optical-Flow Similarity)

    Flow: frame of a video (N, 1, 3, H, W) and its optical flow (N, 1, 2, H, W) -> random crop of both (N, 3, S, S), (N,
    2, M, M), M = S / 4 -> 2-D encoder -> hypercolumn -> embedding of each pixel (N, D, M, M) -> P pixels p -> kernels
    K_f(p, q) = -|f_p - f_q|^2 / (2 bandwidth^2) of flow and K_e(p, q) = cos(e_p, e_q) / temperature of embeddings ->
    cross entropy between the softmax of K_f and that of K_e over all q other than p.

    Which parts move together is a matter of objects and can be known from one frame; where they move, and how fast, is
    chance. Similarity of flow keeps the first and leaves out the second, so flow itself is never regressed.

    The metric is the explained part of the similarity: 1 - KL divergence of K_e from K_f / that of a uniform
    distribution. Chance is 0. At the paper's temperature of 4 two similarities differ by a factor of e^(1/2) at most,
    so that the metric stays well below 1; at a low temperature embeddings that know little are far below 0.

    Shortcut: pixels near each other move alike, so the position is an embedding; a codec leaves what moves less sharp.
    Guard: crops of at least `min_scale` of the area are taken anywhere and flipped at random; each has its own blur and
    noise. Position remains a cue within a crop.

    Differences from the paper: flow is that of DIS, divided by its root mean square over the crop before it is
    compared, where published reimplementations take the logarithm of up to 50 pixels and a bandwidth of 0.06; 256
    pixels of a crop instead of 512; convolutional hypercolumns of any encoder instead of AlexNet's; blur and noise are
    additions.
    """

    recipe = Recipe(optimizer="adamw", lr=8e-3, weight_decay=1e-2)

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        pixels: Annotated[int, Range(least=2)] = 256
        """Pixels P of a crop that are compared with each other; all of them where it has fewer."""
        dimensions: Annotated[int, Range(least=2)] = 16
        """Dimensions D of the embedding."""
        bandwidth: Annotated[float, Range(above=0)] = 0.5
        """Of the kernel of flow, in shares of the root mean square of a crop's flow."""
        temperature: Annotated[float, Range(above=0)] = 4.0
        """Of the kernel of embeddings; the larger, the closer to a uniform distribution it stays."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.3
        """Smallest share of the frame's area that a crop covers."""
        degrade: Annotated[float, Range(least=0, most=1)] = 0.5
        """Strength of the random blur and noise, which hide traces of motion in the frame; 0, the paper's, for none."""

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        self.side = max(2, size // CELL)
        self.embedding = Hypercolumn(encoder, size, out=config.dimensions, side=self.side)

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"frame": Clip(frames=1), "flow": Computed("optical_flow", like="frame")}

    def metric_name(self) -> str:
        return "explained"

    def chance(self, batch_size: int) -> float:
        return 0.0

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Frame (N, 1, 3, H, W) uint8 and flow (N, 1, 2, H, W) -> `Example`."""
        config = self.config
        images, flow = crop_with_flow(
            batch["frame"],
            batch["flow"],
            self.size,
            rng,
            side=self.side,
            min_scale=config.min_scale,
            degrade=config.degrade,
        )
        drawn = uniform((len(images), self.side**2), 0, 1, rng).argsort(1)
        return Example(images, flow, drawn[:, : self.config.pixels])

    def forward(self, example: Example) -> Tensor:
        """Embeddings (N, D, M, M) of length 1."""
        images = example.images.contiguous(memory_format=torch.channels_last)
        return F.normalize(self.embedding(placed_stages(self.encoder, images)).float(), dim=1)

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """Cross entropy of the kernels, and the explained part of that of flow."""
        flow = example.flow.float()
        scale = flow.square().sum(1).mean((1, 2)).sqrt().clamp(min=LEAST_FLOW)
        vectors = _at(flow / scale[:, None, None, None], example.places)
        embedded = _at(prediction.float(), example.places)
        apart = (vectors[:, :, None] - vectors[:, None]).square().sum(3)
        target = _rows(-apart / (2 * self.config.bandwidth**2)).softmax(2)
        found = _rows(embedded @ embedded.transpose(1, 2) / self.config.temperature).log_softmax(2)
        loss = -(target * found).sum(2).mean()
        with torch.no_grad():
            least = -torch.xlogy(target, target).sum(2).mean()
            # Without a floor, crops in which nothing moves would divide 0 by 0.
            most = (math.log(target.shape[2]) - least).clamp(min=1e-3)
        return {"loss": loss, "explained": 1 - (loss.detach() - least) / most}

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """A frame, its flow, and how similar each embedding is to that of the fastest pixel."""
        shown = []
        for n in range(min(count, len(prediction))):
            embedded = prediction[n].detach().flatten(1)
            fastest = int(example.flow[n].norm(dim=0).argmax())
            alike = ((embedded[:, fastest] @ embedded + 1) / 2).clamp(0, 1).view(self.side, self.side)
            shown.append(
                Shown(
                    inputs=[denormalise(example.images[n : n + 1])[0]],
                    pseudo_label=Map(values=example.flow[n], kind="flow"),
                    prediction=Map(values=alike, kind="mask"),
                )
            )
        return shown


def _at(maps: Tensor, places: Tensor) -> Tensor:
    """Vectors (N, P, C) of maps (N, C, M, M) at places (N, P)."""
    flat = maps.flatten(2).transpose(1, 2)
    return flat.gather(1, places[:, :, None].expand(-1, -1, flat.shape[2]))


def _rows(kernel: Tensor) -> Tensor:
    """Kernels (N, P, P) without their diagonals: (N, P, P - 1)."""
    n, p, _ = kernel.shape
    return kernel.flatten(1)[:, 1:].view(n, p - 1, p + 1)[:, :, :-1].reshape(n, p, p - 1)
