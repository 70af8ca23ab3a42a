"""Rotation of clips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Generator, Tensor, nn

from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Input
from selftaught.encoders.base import Encoder, EncoderSpec
from selftaught.ops.colour import coarse_colour, denormalise, normalise
from selftaught.ops.crop import crop_resize
from selftaught.ops.frames import square_boxes, without_bars
from selftaught.ops.warp import all_rotations
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.losses import classification

ANGLES = 4


@dataclass
class Example:
    """Rotated clips (4 N, 3, T, S, S) normalised, and how many quarter turns each was given (4 N,) int64."""

    clips: Tensor
    turns: Tensor


class ClipRotation(PretextTask):
    """Predict by which multiple of 90 degrees a clip was rotated (Jing, Yang, Liu, Tian, arXiv 2018).

    Link: https://arxiv.org/abs/1811.11387

    Flow: clip (N, T, 3, H, W) -> one random square crop for all its frames (N, T, 3, S, S) -> all four rotations
    (4 N, 3, T, S, S) -> 3-D encoder (4 N, D) -> linear (4 N, 4) -> cross entropy with the number of quarter turns, the
    mean over all rotated copies.

    To predict the angle, the network must know how people and things look upright and how they move: upright people
    fall, walk and jump in other directions than rotated ones. All copies of a clip are in the same batch.

    Shortcut: black bars above and below, as in films, or at the sides give the angle away, and so do empty corners
    after a rotation, traces of resampling, and crops that are not square. Guard: bars are detected in each clip and cut
    off (`ops.frames.without_bars`); the crop is square before and after it is resized; the rotation only transposes and
    flips, without corners or interpolation. Clips are flipped before the rotation, so flips are equally likely at every
    angle. Video stores colour at half the resolution, by filters that differ along x and y, which gave quarter turns
    away on compressed noise (50 % instead of 25 %); colour is shown at a quarter of the resolution
    (`ops.colour.coarse_colour`). Accuracy is at chance on clips of noise, between bars that stay, grow or come and go,
    and compressed. What is not hidden is the scene: where all videos have the same still background, as those of a
    camera that does not move, it gives the angle away, whatever moves; `--encoder differences:resnet18` sees none.

    Differences from the paper: the side of the crop is drawn between `least_side` and 1 (112 of 136 pixels in the
    paper); frames are not squeezed to a square; clips are flipped; the learning rate falls by a cosine (in the paper by
    a factor of ten every 24,000 steps); the task shows frames, as evaluation does; frame differences, which the paper
    also tries, are what `--encoder differences:resnet18` sees of them, in a 2-D network.
    """

    recipe = Recipe(optimizer="sgd", lr=0.8, weight_decay=1e-3)
    encoders: ClassVar[Mapping[str, EncoderSpec]] = {"encoder": EncoderSpec("video")}

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        frames: Annotated[int, Range(least=1)] = 16
        """Frames of a clip (T)."""
        stride: Annotated[int, Range(least=1)] = 1
        """Distance between frames of the clip, in frames of the video."""
        least_side: Annotated[float, Range(above=0, most=1)] = 0.8
        """Smallest side of the crop, as a share of the short side between black bars."""

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        self.head = nn.Linear(encoder.num_features, ANGLES)

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"video": Clip(frames=config.frames, stride=config.stride)}

    def chance(self, batch_size: int) -> float:
        return 1 / ANGLES

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Clip (N, T, 3, H, W) uint8 -> `Example` of 4 N rotated clips, angle-major."""
        video = batch["video"]
        boxes = square_boxes(without_bars(video), rng, least_side=self.config.least_side)
        boxes = boxes.repeat_interleave(video.shape[1], 0)
        frames = normalise(coarse_colour(crop_resize(video.flatten(0, 1), boxes, self.size)))
        clips = frames.unflatten(0, video.shape[:2]).transpose(1, 2)
        rotated = all_rotations(clips, list(range(ANGLES)))
        turns = torch.arange(ANGLES, device=video.device).repeat_interleave(len(video))
        return Example(rotated.contiguous(memory_format=torch.channels_last_3d), turns)

    def forward(self, example: Example) -> Tensor:
        """Logits (4 N, 4)."""
        logits: Tensor = self.head(self.encoder(example.clips))
        return logits

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """Cross entropy over the angles."""
        return classification(prediction, example.turns)

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """Copies of different clips at different angles."""
        clips = len(example.turns) // ANGLES
        rows = [(i % ANGLES) * clips + i % clips for i in range(count)]
        chance, chosen = prediction.detach().float().softmax(1).max(1)
        return [
            Shown(
                inputs=[denormalise(example.clips[r].transpose(0, 1))],
                pseudo_label=f"{int(example.turns[r]) * 90}°",
                prediction=f"{int(chosen[r]) * 90}° ({float(chance[r]):.2f})",
            )
            for r in rows
        ]
