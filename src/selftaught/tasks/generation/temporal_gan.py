"""Temporal GAN, whose critic is kept."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Generator, Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from selftaught.core.distributed import is_distributed, same_buffers
from selftaught.core.randomness import uniform
from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Input
from selftaught.encoders.base import Encoder, EncoderSpec
from selftaught.ops.singular_values import clip_singular_values
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.adversarial import discriminator_loss, generator_loss
from selftaught.tasks.parts.clips.adversarial_clips import (
    as_seen,
    judged_together,
    real_above_made,
    real_clips,
    remember,
    shown_clips,
)
from selftaught.tasks.parts.clips.frame_generator import UpConvolutions
from selftaught.tasks.parts.heads import start_of

LEAST_GAIN = 0.01
"""Smallest gain of a batch normalisation, as a share of the standard deviation that it divides by."""


@dataclass
class Example:
    """What both players see.

    Attributes:
        clips: (N, 3, T, S, S) real clips, normalised.
        codes: (N, Z) in [-1, 1), from which the clips of the critic's turn are generated.
        other_codes: (N, Z), from which those of the generator's turn are generated.
    """

    clips: Tensor
    codes: Tensor
    other_codes: Tensor


class TemporalGAN(PretextTask):
    """Separate real clips from clips whose frames are generated from a sequence of codes, by a critic of limited slope
    (Saito, Matsumoto, Saito, ICCV 2017).

    Link: https://arxiv.org/abs/1611.06624, code https://github.com/pfnet-research/tgan

    Flow: clip (N, T, 3, H, W) -> one square window (N, 3, T, S, S). Code z0 (N, Z) uniform in [-1, 1] -> temporal
    generator, up-convolutions along time -> codes z1 of the frames (N, T, M) -> image generator: z0 and z1 of a frame,
    each through a linear layer to a map, one above the other -> up-convolutions (N, 3, T, S, S). Real or generated clip
    -> 3-D encoder, which is the critic (N, D) -> linear: one score. The critic maximises the difference of the mean
    scores of real and generated clips, the generator the score of its clips (Wasserstein GAN).

    That the difference is a distance of the distributions, the critic must be 1-Lipschitz. After every fifth step the
    weights of its convolutions and linear layers, as matrices (out, in x kernel), get singular values of at most 1
    (singular value clipping); the gain of a batch normalisation, which divides by a standard deviation s, is brought
    into [0.01 s, s].

    To find what the generator still does wrong, the critic must know how scenes look and how things in them move. It is
    the encoder that is kept, by default the network published, `video_convnet`.

    Held-out metrics: "accuracy" is the share of pairs of a real and a generated clip of which the real one scores
    higher (chance 1/2; this depends as much on the generator as on the critic), "frechet" that of `video_gan`.

    Shortcut: pixel values that no real clip has, statistics of the batch or black bars would give the generated clips
    away regardless of what they show. Guard: a hyperbolic tangent keeps generated pixels in the range of real ones;
    equally many real and generated clips pass the encoder in one batch in the turns of both players, so they share the
    statistics of batch normalisation; bars are cut off.

    Batch normalisation of the encoder: only real clips update the running statistics, in a separate pass; s is that of
    these statistics. Other normalisation and attention are not clipped, so that encoders of convolutions suit this task
    better.

    Differences from the paper: Adam without momentum instead of RMSprop (5e-5 at 32 clips in both), with a learning
    rate that warms up and falls by a cosine; batch normalisation has offsets; the last layer of the critic is linear on
    the mean over all positions instead of a convolution of the frames of the last map; real and generated clips pass it
    in one batch; the generator's turn comes after the critic's, with other codes; random windows and mirror images.
    """

    recipe = Recipe(optimizer="adamw", lr=4e-4, weight_decay=0.0, betas=(0.0, 0.99), momentum=0.0, others={})
    encoders: ClassVar[Mapping[str, EncoderSpec]] = {"encoder": EncoderSpec("video", default="video_convnet")}
    steps: Tensor

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        frames: Annotated[int, Range(least=1)] = 16
        """Frames of a clip (T)."""
        stride: Annotated[int, Range(least=1)] = 1
        """Distance between frames of the clip, in frames of the video."""
        code: Annotated[int, Range(least=1)] = 100
        """Length Z of the code of a clip."""
        frame_code: Annotated[int, Range(least=1)] = 100
        """Length M of the codes of its frames."""
        width: Annotated[int, Range(least=16)] = 512
        """Channels of the first maps of both generators; they halve with every doubling."""
        clip_every: Annotated[int, Range(least=1)] = 5
        """Steps between two clippings of the singular values."""
        least_side: Annotated[float, Range(above=0, most=1)] = 0.8
        """Smallest side of the window, as a share of the largest that fits."""

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        # An offset of all scores would change neither player's loss.
        self.head = nn.Linear(encoder.num_features, 1, bias=False)
        self.temporal_generator = TemporalGenerator(config.code, config.frame_code, config.frames, width=config.width)
        self.image_generator = ImageGenerator(config.code, config.frame_code, side=size, width=config.width)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"video": Clip(frames=config.frames, stride=config.stride)}

    def players(self) -> Mapping[str, tuple[str, ...]]:
        return {
            "discriminator": ("encoder", "head"),
            "generator": ("temporal_generator", "image_generator"),
        }

    def chance(self, batch_size: int) -> float:
        return 0.5

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Clip (N, T, 3, H, W) uint8 -> `Example` of N real clips and 2 N codes."""
        clips = real_clips(batch["video"], self.size, rng, least_side=self.config.least_side, is_stabilised=False)
        return Example(clips, *uniform((2 * len(clips), self.config.code), -1, 1, rng).chunk(2))

    def forward(self, example: Example, player: str = "discriminator") -> dict[str, Tensor]:
        """Scores (N,) of "real" and "made" clips."""
        if player == "generator":
            return self._scores(example.clips, as_seen(self._made(example.other_codes)))
        prediction = self._scores(example.clips, self.generate(example))
        remember(self.encoder, example.clips)
        return prediction

    def loss(self, prediction: dict[str, Tensor], example: Example, player: str = "discriminator") -> dict[str, Tensor]:
        """The player's loss; "distance" is the difference of the mean scores."""
        real, made = prediction["real"], prediction["made"]
        if player == "generator":
            return {"loss": generator_loss("wgan_gp", made)}
        loss = discriminator_loss("wgan_gp", real, made)
        return {"loss": loss, "accuracy": real_above_made(real, made), "distance": -loss.detach()}

    @torch.no_grad()
    def after_step(self, step: int, total: int) -> None:
        self.steps += 1
        if self.steps % self.config.clip_every == 0:
            if is_distributed():
                same_buffers(self.encoder)  # running statistics are each process's own on CPUs
            limit_slope(self.encoder)
            limit_slope(self.head)

    @torch.no_grad()
    def generate(self, example: Example) -> Tensor:
        """Clips (N, 3, T, S, S), normalised."""
        return as_seen(self._made(example.codes))

    def show(self, example: Example, prediction: dict[str, Tensor], count: int) -> list[Shown]:
        """Grids of real and generated clips, and clips with their scores."""
        scores = (prediction["real"].detach(), prediction["made"].detach())
        return shown_clips(example.clips, self.generate(example), scores, count)

    def _made(self, codes: Tensor) -> Tensor:
        """Codes (N, Z) -> clips (N, 3, T, S, S) in [-1, 1]."""
        of_frames = self.temporal_generator(codes)
        n, t = of_frames.shape[:2]
        frames = self.image_generator(codes.repeat_interleave(t, 0), of_frames.flatten(0, 1))
        clips: Tensor = frames.unflatten(0, (n, t)).transpose(1, 2)
        return clips

    def _scores(self, real: Tensor, made: Tensor) -> dict[str, Tensor]:
        first, second = judged_together(self.encoder, self.head, real, made)
        return {"real": first[:, 0], "made": second[:, 0]}


@torch.no_grad()
def limit_slope(network: nn.Module) -> None:
    """Singular value clipping of all convolutions and linear layers, and gains of batch normalisation, in place.

    The layers of a convolution with groups are matrices of their own.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear):
            groups = 1 if isinstance(module, nn.Linear) else module.groups
            weight = module.weight
            matrices = weight.reshape(groups, weight.shape[0] // groups, -1)
            weight.copy_(clip_singular_values(matrices).reshape(weight.shape))
        elif isinstance(module, _BatchNorm) and module.affine and module.running_var is not None:
            deviation = module.running_var.sqrt()
            module.weight.copy_(module.weight.clamp(LEAST_GAIN * deviation, deviation))


class TemporalGenerator(nn.Module):
    """Codes of clips (N, Z) -> codes of their frames (N, T, M) in [-1, 1].

    Up-convolutions along time from the first frame on, or as many as T is an odd multiple of; the channels are `width`
    and halve down to a quarter of that.
    """

    def __init__(self, code: int, frame_code: int, frames: int, *, width: int) -> None:
        super().__init__()
        first, doublings = frames, 0
        while first % 2 == 0:
            first, doublings = first // 2, doublings + 1
        widths = [width, width // 2, *[width // 4] * doublings][:doublings] or [width]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [nn.ConvTranspose1d(before, after, 4, stride=2, padding=1), *_normalised(after)]
        last = nn.ConvTranspose1d(widths[-1], frame_code, 4, stride=2, padding=1)
        self.layers = nn.Sequential(
            nn.Linear(code, width * first),
            nn.Unflatten(1, (width, first)),
            *_normalised(width),
            *layers,
            last if doublings else nn.Conv1d(width, frame_code, 1),
            nn.Tanh(),
        )
        _draw_weights(self)

    def forward(self, codes: Tensor) -> Tensor:
        found: Tensor = self.layers(codes).transpose(1, 2)
        return found


class ImageGenerator(nn.Module):
    """Code of the clip (K, Z) and of the frame (K, M), for K frames -> frames (K, 3, side, side) in [-1, 1]."""

    def __init__(self, code: int, frame_code: int, *, side: int, width: int) -> None:
        super().__init__()
        start = start_of(side)
        last = max(1, width >> 4)
        self.of_clip, self.of_frame = (_mapped(length, width // 2, start) for length in (code, frame_code))
        self.up = nn.Sequential(
            UpConvolutions(width, last, side=side),
            nn.BatchNorm2d(last),
            nn.ReLU(inplace=True),
            nn.Conv2d(last, 3, 3, padding=1),
            nn.Tanh(),
        )
        _draw_weights(self)

    def forward(self, codes: Tensor, of_frames: Tensor) -> Tensor:
        frames: Tensor = self.up(torch.cat([self.of_clip(codes), self.of_frame(of_frames)], 1))
        return frames


def _mapped(length: int, channels: int, side: int) -> nn.Sequential:
    """Codes (K, length) -> maps (K, channels, side, side)."""
    values = channels * side**2
    return nn.Sequential(
        nn.Linear(length, values, bias=False), *_normalised(values), nn.Unflatten(1, (channels, side, side))
    )


def _normalised(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm1d(channels), nn.ReLU(inplace=True)


def _draw_weights(network: nn.Module) -> None:
    """Uniform in [-0.01, 0.01], as published."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.ConvTranspose1d | nn.ConvTranspose2d):
            nn.init.uniform_(module.weight, -0.01, 0.01)
