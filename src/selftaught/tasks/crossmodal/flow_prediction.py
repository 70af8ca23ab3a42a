"""Flow prediction."""

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
from selftaught.data.inputs import Clip, Computed, Input
from selftaught.encoders.base import Encoder
from selftaught.encoders.feature_map import last_map, map_shape
from selftaught.ops.colour import denormalise
from selftaught.ops.flow import crop_flow
from selftaught.tasks.base import Known, Map, PretextTask, Recipe, Refreshed, Shown
from selftaught.tasks.parts.clips.flow_crops import crop_with_flow
from selftaught.tasks.parts.heads import Decoder
from selftaught.tasks.parts.kmeans import kmeans, nearest

CELL = 10
"""Pixels of a crop, along each side, to one cell: the paper's 200 to 20."""
VECTORS = 200_000
"""Vectors of flow that k-means sees at most."""


@dataclass
class Example:
    """Frames (N, 3, S, S) normalised, flow (N, 2, M, M) in pixels of the crop, and its classes (N, M, M) int64."""

    images: Tensor
    flow: Tensor
    words: Tensor


class FlowPrediction(PretextTask):
    """Predict from a single frame the optical flow to the next one (Walker, Gupta, Hebert, ICCV 2015).

    Link: https://arxiv.org/abs/1505.00295

    Flow: frame of a video (N, 1, 3, H, W) and its optical flow (N, 1, 2, H, W) -> random crop of both (N, 3, S, S), (N,
    2, M, M), M = S / 10 -> nearest of K codewords, found by k-means in the flow of all training frames (N, M, M) -> 2-D
    encoder (N, C, h, w) -> decoder (N, K, M, M) -> softmax, cross entropy per cell. The predicted flow is the mean of
    the codewords, weighted by their probabilities.

    What will move, and where to, depends on what things are and on their pose: a raised arm comes down, a person walks
    the way they face. Classes let the network keep several futures open, where regression would predict their mean.

    The metric is the explained part of the flow: 1 - sum |predicted - flow|^2 / sum |flow|^2. Chance is 0, that of
    predicting that nothing moves.

    Shortcut: things usually move in the middle of the frame, and a codec or the exposure leaves what moves less sharp.
    Guard: crops of at least `min_scale` of the area are taken anywhere and flipped at random, together with their flow;
    each has its own blur and noise (`ops.clips.windows`).

    Differences from the paper: flow is that of DIS instead of DeepFlow; the decoder has up-convolutions instead of
    fully connected layers, and its last bias starts at the logarithm of the codewords' shares; blur and noise are
    additions. The camera's motion stays in the flow.
    """

    recipe = Recipe(optimizer="sgd", lr=0.05, weight_decay=5e-4)

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        words: Annotated[int, Range(least=2)] = 40
        """Codewords K, the classes of flow."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.5
        """Smallest share of the frame's area that a crop covers."""
        degrade: Annotated[float, Range(least=0, most=1)] = 0.5
        """Strength of the random blur and noise, which hide traces of motion in the frame; 0, the paper's, for none."""
        width: Annotated[int, Range(least=1)] = 256
        """Channels of the decoder at its lowest resolution; they halve with every doubling, down to 32."""

    codebook: Tensor

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        self.side = max(2, round(size / CELL))
        channels, start = map_shape(encoder, size)
        self.decoder = Decoder(channels, start, out=config.words, side=self.side, width=config.width)
        self.register_buffer("codebook", torch.zeros(config.words, 2))

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"frame": Clip(frames=1), "flow": Computed("optical_flow", like="frame")}

    def metric_name(self) -> str:
        return "explained"

    def chance(self, batch_size: int) -> float:
        return 0.0

    def refresh_epochs(self) -> float:
        """Once: the codebook stays."""
        return math.inf

    @torch.no_grad()
    def embed(self, batch: Batch) -> Tensor:
        """Flow (N, 2 M M) of the whole frames."""
        height, width = batch["frame"].shape[-2:]
        flow = batch["flow"]
        boxes = flow.new_tensor([0.0, 0.0, height, width]).expand(len(flow), 4)
        return crop_flow(flow, boxes, self.size, frame=(height, width), side=self.side).flatten(1)

    @torch.no_grad()
    def before_epoch(self, known: Known, count: int, rng: Generator) -> Refreshed:
        """Codewords by k-means of the flow of all frames and of their mirror images, the slowest first."""
        vectors = known.features.float().view(-1, 2, self.side**2).transpose(1, 2).flatten(0, 1)
        chosen = vectors[torch.randperm(len(vectors), generator=rng)[: VECTORS // 2]]
        chosen = torch.cat([chosen, chosen * chosen.new_tensor([-1.0, 1.0])])
        # Fewer vectors than codewords are taken several times: some codewords are then the same, and one of them used.
        chosen = chosen.repeat(math.ceil(self.config.words / len(chosen)), 1)
        found, _ = kmeans(chosen, self.config.words, rng, restarts=5)
        self.codebook = found[found.norm(dim=1).argsort(stable=True)]
        words = nearest(chosen, self.codebook)
        last = self.decoder[-1]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        # Logits start at the shares of the codewords; at equal ones, most of what is predicted at first is motion.
        shares = torch.bincount(words, minlength=self.config.words).float() + 1
        last.bias.copy_((shares / shares.sum()).log())
        error = (chosen - self.codebook[words]).norm(dim=1).mean()
        return Refreshed(scalars={"codebook_error": float(error), "fastest_word": float(self.codebook[-1].norm())})

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
        words = nearest(flow.permute(0, 2, 3, 1).flatten(0, 2), self.codebook)
        return Example(images, flow, words.view(len(flow), self.side, self.side))

    def forward(self, example: Example) -> Tensor:
        """Logits (N, K, M, M)."""
        images = example.images.contiguous(memory_format=torch.channels_last)
        logits: Tensor = self.decoder(last_map(self.encoder, images))
        return logits

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """Cross entropy per cell; the explained part, and end-point errors in pixels, of the mean of the codewords."""
        logits, flow = prediction.float(), example.flow.float()
        expected = self.expected(logits.detach())
        missed = (expected - flow).square().sum() / flow.square().sum().clamp(min=1e-12)
        return {
            "loss": F.cross_entropy(logits, example.words),
            "explained": 1 - missed,
            "accuracy": (logits.detach().argmax(1) == example.words).float().mean(),
            "end_point_error": (expected - flow).norm(dim=1).mean(),
            "end_point_error_of_no_motion": flow.norm(dim=1).mean(),
        }

    def expected(self, logits: Tensor) -> Tensor:
        """Logits (N, K, M, M) -> mean of the codewords (N, 2, M, M), in pixels of the crop."""
        return torch.einsum("nkyx,kc->ncyx", logits.float().softmax(1), self.codebook)

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """A frame, its flow and the predicted one."""
        expected = self.expected(prediction.detach())
        return [
            Shown(
                inputs=[denormalise(example.images[n : n + 1])[0]],
                pseudo_label=Map(values=example.flow[n], kind="flow"),
                prediction=Map(values=expected[n], kind="flow"),
            )
            for n in range(min(count, len(expected)))
        ]
