"""Odd-one-out networks."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, ClassVar, Literal

import torch
from torch import Generator, Tensor, nn

from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Input
from selftaught.encoders.base import Encoder, EncoderSpec
from selftaught.ops.clips.windows import degraded_crop, inner_areas, shifted_squares
from selftaught.ops.frames import gather_frames, square_boxes
from selftaught.ops.sheet import lay_strip, numbered
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.clips.short_clips import for_encoder, shown
from selftaught.tasks.parts.losses import classification


@dataclass
class Example:
    """K sub-sequences of each video (N K, 3, W, S, S), normalised, and which of the K is odd (N,) int64.

    `numbers` (N, K, W) int64 are those of the frames in the video, as they are shown.
    """

    clips: Tensor
    odd: Tensor
    numbers: Tensor


class OddOneOut(PretextTask):
    """Predict which sub-sequence of a video is out of order (Fernando, Bilen, Gavves, Gould, CVPR 2017).

    Link: https://arxiv.org/abs/1611.06646

    Flow: video (N, T, 3, H, W) -> K = 6 sub-sequences of W = 6 frames each (N K, 3, W, S, S), the frames of one of them
    shuffled -> encoder of clips, shared by all sub-sequences (N K, D) -> fusion: all features one after the other
    (N, K D), or the sum of their differences (N, D) -> linear, ReLU, dropout, linear (N, K) -> cross entropy with the
    place of the odd one.

    To find it, the network must compare the sub-sequences and know how things move. The paper shows a sub-sequence to a
    2-D network as one image: the stack of differences of frames (its best, and the default here,
    `differences:resnet18`), the sum of the differences of all pairs (`--encoder sumdiff:resnet18`), or the dynamic
    image (`dynamic:resnet18`); with a 3-D network (`--encoder r3d_18`) the frames are seen as they are.

    Shortcut: the odd one could be known by a frame's quality in the compressed stream, which would tell the numbers of
    frames, or by bars that grow. Guard: each frame has its own blur and noise, and each sub-sequence its own small
    shift (`ops.clips.windows`); bars and the border are cut off; the odd one has every place equally often, and its
    frames are drawn as those of the others are. Accuracy is at chance on clips of one repeated frame, of noise, with
    borders that change, and compressed.

    Differences from the paper: blur, noise and shifts are additions; the odd order is never the right one or its
    reverse, as many motions look the same backwards; the encoder is a ResNet by default instead of an AlexNet, and
    fusion takes its pooled features instead of fc6; AdamW with a cosine instead of SGD with steps.
    """

    recipe = Recipe(optimizer="adamw", lr=2e-3, weight_decay=1e-2)
    encoders: ClassVar[Mapping[str, EncoderSpec]] = {"encoder": EncoderSpec("video", default="differences:resnet18")}

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        sequences: Annotated[int, Range(least=2, most=12)] = 6
        """Sub-sequences of a video (K), one of them odd."""
        length: Annotated[int, Range(least=3, most=7)] = 6
        """Frames of a sub-sequence (W)."""
        frames: Annotated[int, Range(least=3)] = 16
        """Frames of the video (T), from which those of the sub-sequences are drawn."""
        stride: Annotated[int, Range(least=1)] = 1
        """Distance between frames of the video, in frames of its file."""
        sampling: Literal["random", "consecutive"] = "random"
        """Frames of a sub-sequence: any W of the T in the order of time, or W one after the other from a random one."""
        fusion: Literal["concatenation", "differences"] = "concatenation"
        """How features of sub-sequences are compared: one after the other, or the sum over pairs i < j of feature i
        minus feature j."""
        least_side: Annotated[float, Range(above=0, most=1)] = 0.8
        """Smallest side of the window, as a share of the short side between black bars."""
        jitter: Annotated[float, Range(least=0, most=0.5)] = 0.05
        """Largest shift of a sub-sequence's window from the middle, as a share of its side."""
        degrade: Annotated[float, Range(least=0, most=1)] = 1.0
        """Strength of the random blur and noise of each frame, which hide traces of a codec; 0, the paper's, for
        none."""
        hidden: Annotated[int, Range(least=1)] = 512
        """Width of the layer after fusion."""
        dropout: Annotated[float, Range(least=0, below=1)] = 0.5
        """Dropout rate before the last layer."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.frames < self.length:
                raise ValueError(
                    f"--task.frames must be at least --task.length = {self.length}, got {self.frames}; raise it or "
                    "lower --task.length"
                )

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        fused = encoder.num_features * (config.sequences if config.fusion == "concatenation" else 1)
        self.head = nn.Sequential(
            nn.Linear(fused, config.hidden, bias=False),
            nn.BatchNorm1d(config.hidden),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, config.sequences),
        )

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"video": Clip(frames=config.frames, stride=config.stride)}

    @classmethod
    def clip_for(cls, config: Config) -> Clip:
        """A sub-sequence."""
        return Clip(frames=config.length, stride=config.stride)

    def chance(self, batch_size: int) -> float:
        return 1 / self.config.sequences

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Video (N, T, 3, H, W) uint8 -> `Example` of K sub-sequences each."""
        video, config = batch["video"], self.config
        n, k, w = len(video), config.sequences, config.length
        numbers, odd = self.choose(n, rng)
        frames = gather_frames(video, numbers.flatten(1)).flatten(0, 1)[:, None]
        squares = square_boxes(inner_areas(video, self.size), rng, least_side=config.least_side)
        boxes = shifted_squares(squares, k, rng, jitter=config.jitter).repeat_interleave(w, 1)
        cut = degraded_crop(frames, boxes.flatten(0, 1), self.size, rng, strength=config.degrade)
        return Example(for_encoder(cut.view(n, k, w, 3, self.size, self.size)), odd, numbers)

    def choose(self, count: int, rng: Generator) -> tuple[Tensor, Tensor]:
        """Numbers of the frames of each sub-sequence (N, K, W) int64, as they are shown, and the odd ones (N,)."""
        k, w = self.config.sequences, self.config.length
        numbers = self._sampled(count, rng)
        wrong = wrong_orders(w).to(rng.device)
        order = wrong[torch.randint(len(wrong), (count,), generator=rng, device=rng.device)]
        odd = torch.randint(k, (count,), generator=rng, device=rng.device)
        rows = torch.arange(count, device=rng.device)
        numbers[rows, odd] = numbers[rows, odd].gather(1, order)
        return numbers, odd

    def _sampled(self, count: int, rng: Generator) -> Tensor:
        """Numbers (N, K, W) in the order of time."""
        config = self.config
        shape = (count, config.sequences)
        if config.sampling == "random":
            drawn = torch.rand(*shape, config.frames, generator=rng, device=rng.device)
            return drawn.argsort(2)[:, :, : config.length].sort(2).values
        first = torch.randint(config.frames - config.length + 1, shape, generator=rng, device=rng.device)
        return first[:, :, None] + torch.arange(config.length, device=rng.device)

    def forward(self, example: Example) -> Tensor:
        """Logits (N, K)."""
        features = self.encoder(example.clips).unflatten(0, (-1, self.config.sequences))
        logits: Tensor = self.head(self._fused(features))
        return logits

    def _fused(self, features: Tensor) -> Tensor:
        """(N, K, D) -> (N, K D), or (N, D) of sum_{i < j} (v_i - v_j), in which v_i has the weight K - 1 - 2 i."""
        if self.config.fusion == "concatenation":
            return features.flatten(1)
        k = self.config.sequences
        weights = k - 1 - 2 * torch.arange(k, device=features.device, dtype=features.dtype)
        return torch.einsum("nkd,k->nd", features, weights)

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """Cross entropy over the places of the odd one."""
        return classification(prediction, example.odd)

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """All sub-sequences of a video, from 1 to K, and the frames of the odd one with their numbers in the video."""
        chance, chosen = prediction.detach().float().softmax(1).max(1)
        k = self.config.sequences
        clips = [[shown(clip) for clip in example.clips[k * n : k * n + k]] for n in range(min(count, len(chosen)))]
        odd = example.odd.tolist()
        return [
            Shown(
                inputs=[
                    *(numbered(clip, place + 1) for place, clip in enumerate(clips[n])),
                    lay_strip(clips[n][odd[n]], example.numbers[n, odd[n]].tolist()),
                ],
                pseudo_label=f"number {int(example.odd[n]) + 1} is odd",
                prediction=f"number {int(chosen[n]) + 1} ({float(chance[n]):.2f})",
            )
            for n in range(len(clips))
        ]


@cache
def wrong_orders(length: int) -> Tensor:
    """All permutations that are neither the order of time nor its reverse, (length! - 2, length) int64."""
    return torch.tensor(list(itertools.permutations(range(length)))[1:-1])
