"""MoCoGAN, whose video discriminator is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Input
from selftaught.encoders.base import Encoder, EncoderSpec
from selftaught.ops.colour import denormalise_clips
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.clips.adversarial_clips import (
    as_seen,
    judged_together,
    real_above_made,
    real_clips,
    remember,
    shown_clips,
)
from selftaught.tasks.parts.clips.frame_generator import FrameGenerator
from selftaught.tasks.parts.discriminators import Discriminator
from selftaught.tasks.parts.losses import discriminator_bce, generator_bce

TURNS = ("discriminator", "generator")
"""In whose turns the codes are used, along axis 1 of `Example`."""


@dataclass
class Example:
    """What all players see. Axis 1 of what clips are generated from is that of `TURNS`.

    Attributes:
        clips: (N, 3, T, S, S) real clips, normalised.
        content: (N, 2, C) of N(0, 1), the same for all frames of a clip.
        noise: (N, 2, T + 1, M) of N(0, 1): the state before the first frame, then the input of each frame.
        category: (N, 2) int64, the category of a clip; 0 without categories.
        frame: (N, 3) int64, which frame of the real clip, and of the clips generated in each turn, is judged alone.
    """

    clips: Tensor
    content: Tensor
    noise: Tensor
    category: Tensor
    frame: Tensor


class MotionContentGAN(PretextTask):
    """Discriminate real from generated clips and frames, which are generated from one code of the content and a code
    of the motion for each frame (Tulyakov, Liu, Yang, Kautz, CVPR 2018).

    Link: https://arxiv.org/abs/1707.04993, code https://github.com/sergeytulyakov/mocogan

    Flow: clip (N, T, 3, H, W) -> one square window (N, 3, T, S, S). Noise of each frame (N, T, M) of N(0, 1) -> GRU,
    whose first state is noise too -> codes of motion (N, T, M); with the code of the content (N, C) of N(0, 1), and of
    the category as a one-hot vector, -> up-convolutions, frame by frame -> clip (N, 3, T, S, S). Real or generated clip
    -> 3-D encoder, which is the video discriminator (N, D) -> linear: one score, and logits of the category. One frame
    of each, drawn at random, -> image discriminator of DCGAN: one score. The discriminators and the generator are
    optimised in turn with cross entropy; the generator maximises log D of its clips plus that of its frames.

    With `--task.categories K`, clips are generated in K categories of motion that nobody names: the video discriminator
    learns to recognise the category of generated clips, and the generator to make it recognisable, which maximises a
    lower bound of what the clip tells of its category (InfoGAN, Chen et al., NIPS 2016).

    The image discriminator judges how a frame looks, so that the video discriminator can be concerned with how things
    move. It is the encoder that is kept.

    Held-out metrics: "accuracy" is the share of pairs of a real and a generated clip of which the real one scores
    higher (chance 1/2; this depends as much on the generator as on the discriminator), "frame_accuracy" the same of
    frames and the image discriminator, "category_accuracy" how often the category of a generated clip is recognised,
    "frechet" that of `video_gan`.

    Shortcut: pixel values that no real clip has, statistics of the batch or black bars would give the generated clips
    away regardless of what they show. Guard: a hyperbolic tangent keeps generated pixels in the range of real ones;
    equally many real and generated clips, and frames, pass a discriminator in one batch in the turns of all players, so
    they share the statistics of batch normalisation; bars are cut off.

    Batch normalisation of the discriminators: only real clips update the running statistics, in a separate pass.

    Differences from the paper: the video discriminator is the encoder of `--encoder`, by default that of VideoGAN, with
    strides in time too and a last layer that is linear on the mean over all positions; as many frames as clips are
    judged, and they are frames of those clips (10 frames and 3 clips in the code); real and generated ones pass a
    discriminator in one batch; categories are learned from generated clips, without labels of real ones; no noise is
    added to the layers, which is an option of the code; no weight decay (1e-5); random windows and mirror images; the
    learning rate (2e-4) is scaled with the batch, warms up and falls by a cosine.
    """

    recipe = Recipe(optimizer="adamw", lr=4e-4, weight_decay=0.0, betas=(0.5, 0.999), momentum=0.5, others={})
    encoders: ClassVar[Mapping[str, EncoderSpec]] = {"encoder": EncoderSpec("video", default="video_convnet")}

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        frames: Annotated[int, Range(least=1)] = 16
        """Frames of a clip (T)."""
        stride: Annotated[int, Range(least=1)] = 1
        """Distance between frames of the clip, in frames of the video; 2 in the code."""
        content: Annotated[int, Range(least=1)] = 50
        """Length C of the code of the content."""
        motion: Annotated[int, Range(least=1)] = 10
        """Length M of the codes of motion."""
        categories: Annotated[int, Range(least=0)] = 0
        """Categories of generated clips; 0 has none, 6 in the code for data with as many actions."""
        category_weight: Annotated[float, Range(least=0)] = 1.0
        """Weight of the cross entropy of the category in the losses of both sides."""
        width: Annotated[int, Range(least=8)] = 512
        """Channels of the first map of the generator; they halve with every doubling of the side."""
        image_width: Annotated[int, Range(least=1)] = 64
        """Channels of the first map of the image discriminator; they double up to eight times this number."""
        least_side: Annotated[float, Range(above=0, most=1)] = 0.8
        """Smallest side of the window, as a share of the largest that fits."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.categories == 1:
                raise ValueError("--task.categories must be 0, for none, or at least 2, got 1")

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        self.head = nn.Linear(encoder.num_features, 1 + config.categories)
        self.image_discriminator = Discriminator(size, width=config.image_width)
        self.recurrent = nn.GRU(config.motion, config.motion, batch_first=True)
        code = config.content + config.categories + config.motion
        self.image_generator = FrameGenerator(code, side=size, width=config.width)

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"video": Clip(frames=config.frames, stride=config.stride)}

    def players(self) -> Mapping[str, tuple[str, ...]]:
        return {
            "discriminator": ("encoder", "head", "image_discriminator"),
            "generator": ("recurrent", "image_generator"),
        }

    def chance(self, batch_size: int) -> float:
        return 0.5

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Clip (N, T, 3, H, W) uint8 -> `Example` of N real clips and the codes of 2 N generated ones."""
        c = self.config
        clips = real_clips(batch["video"], self.size, rng, least_side=c.least_side, is_stabilised=False)
        n, device = len(clips), clips.device
        return Example(
            clips,
            content=torch.randn(n, 2, c.content, generator=rng, device=device),
            noise=torch.randn(n, 2, c.frames + 1, c.motion, generator=rng, device=device),
            category=torch.randint(max(1, c.categories), (n, 2), generator=rng, device=device),
            frame=torch.randint(c.frames, (n, 3), generator=rng, device=device),
        )

    def forward(self, example: Example, player: str = "discriminator") -> dict[str, Tensor]:
        """Scores (N,) of "real" and "made" clips, "real_frames" and "made_frames", logits "categories" (N, K)."""
        is_generator = player == "generator"
        with torch.set_grad_enabled(is_generator and torch.is_grad_enabled()):
            made = self._made(example, player)
        real_frames = _frames_of(example.clips, example.frame[:, 0])
        made_frames = _frames_of(made, example.frame[:, 1 + TURNS.index(player)])
        first, second = judged_together(self.encoder, self.head, example.clips, made)
        of_real, of_made = judged_together(self.image_discriminator, nn.Identity(), real_frames, made_frames)
        if not is_generator:
            remember(self.encoder, example.clips)
            remember(self.image_discriminator, real_frames)
        scores = {"real": first[:, 0], "made": second[:, 0], "real_frames": of_real, "made_frames": of_made}
        return scores | ({"categories": second[:, 1:]} if self.config.categories else {})

    def loss(self, prediction: dict[str, Tensor], example: Example, player: str = "discriminator") -> dict[str, Tensor]:
        """The player's loss, and the metrics of the class's docstring."""
        real, made = prediction["real"], prediction["made"]
        real_frames, made_frames = prediction["real_frames"], prediction["made_frames"]
        scalars: dict[str, Tensor] = {}
        if player == "generator":
            loss = generator_bce(made) + generator_bce(made_frames)
        else:
            loss = discriminator_bce(real, made)[0] + discriminator_bce(real_frames, made_frames)[0]
            scalars["accuracy"] = real_above_made(real, made)
            scalars["frame_accuracy"] = real_above_made(real_frames, made_frames)
        if "categories" in prediction:
            logits, category = prediction["categories"].float(), example.category[:, TURNS.index(player)]
            loss = loss + self.config.category_weight * F.cross_entropy(logits, category)
            scalars["category_accuracy"] = (logits.detach().argmax(1) == category).float().mean()
        return {"loss": loss} | scalars

    @torch.no_grad()
    def generate(self, example: Example) -> Tensor:
        """Clips (N, 3, T, S, S), normalised."""
        return self._made(example, "discriminator")

    @torch.no_grad()
    def show(self, example: Example, prediction: dict[str, Tensor], count: int) -> list[Shown]:
        """Grids of real and generated clips, a clip with content or motion exchanged, and clips with their scores."""
        scores = (prediction["real"].detach(), prediction["made"].detach())
        shown = shown_clips(example.clips, self.generate(example), scores, count)
        return [shown[0], self._exchanged(example), *shown[1:]][:count]

    def _exchanged(self, example: Example) -> Shown:
        """The first generated clip, beside its content with the motion of the last, and the other way round."""
        first, last = slice(0, 1), slice(-1, None)
        clip, moved, other = (
            denormalise_clips(as_seen(self._pixels(*codes)))[0].transpose(0, 1)
            for codes in (
                (example.content[first, 0], example.noise[first, 0], example.category[first, 0]),
                (example.content[first, 0], example.noise[last, 0], example.category[last, 0]),
                (example.content[last, 0], example.noise[first, 0], example.category[first, 0]),
            )
        )
        label = "a generated clip; on the right the same content with another motion, and the same motion of another"
        return Shown(
            inputs=[clip], pseudo_label=label, prediction=torch.cat([F.pad(moved, (0, 2), value=1.0), other], 3)
        )

    def _made(self, example: Example, player: str) -> Tensor:
        """The clips (N, 3, T, S, S) that are generated in the turn of a player, normalised."""
        turn = TURNS.index(player)
        return as_seen(self._pixels(example.content[:, turn], example.noise[:, turn], example.category[:, turn]))

    def _pixels(self, content: Tensor, noise: Tensor, category: Tensor) -> Tensor:
        """Content (N, C), noise (N, T + 1, M) and category (N,) -> clips (N, 3, T, S, S) in [-1, 1]."""
        motion, _ = self.recurrent(noise[:, 1:], noise[None, :, 0].contiguous())
        n, t = motion.shape[:2]
        fixed = [content] if not self.config.categories else [content, F.one_hot(category, self.config.categories)]
        codes = torch.cat([*(one.to(motion.dtype)[:, None].expand(-1, t, -1) for one in fixed), motion], 2)
        frames = self.image_generator(codes.flatten(0, 1)).unflatten(0, (n, t))
        pixels: Tensor = frames.transpose(1, 2)
        return pixels


def _frames_of(clips: Tensor, index: Tensor) -> Tensor:
    """One frame of each clip: (N, 3, T, S, S), index (N,) -> (N, 3, S, S)."""
    return clips[torch.arange(len(clips), device=clips.device), :, index]
