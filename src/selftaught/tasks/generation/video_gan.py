"""VideoGAN, whose discriminator is kept."""

from __future__ import annotations

import itertools
import math
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
from selftaught.tasks.parts.heads import start_of
from selftaught.tasks.parts.losses import discriminator_bce, generator_bce


@dataclass
class Example:
    """What both players see.

    Attributes:
        clips: (N, 3, T, S, S) real clips, normalised.
        codes: (N, Z) of N(0, 1), from which the clips of the discriminator's turn are generated.
        other_codes: (N, Z), from which those of the generator's turn are generated.
    """

    clips: Tensor
    codes: Tensor
    other_codes: Tensor


@dataclass
class Scene:
    """Generated clips and what they are put together of.

    Attributes:
        pixels: (N, 3, T, S, S) in [-1, 1], the clips.
        foreground: (N, 3, T, S, S) in [-1, 1].
        mask: (N, 1, T, S, S) in [0, 1], where the foreground is seen.
        background: (N, 3, 1, S, S) in [-1, 1], the same in all frames.
    """

    pixels: Tensor
    foreground: Tensor
    mask: Tensor
    background: Tensor


class VideoGAN(PretextTask):
    """Discriminate real from generated clips, which show a moving foreground before a background at rest (Vondrick,
    Pirsiavash, Torralba, NIPS 2016).

    Link: https://arxiv.org/abs/1609.02612, code https://github.com/cvondrick/videogan

    Flow: clip (N, T, 3, H, W) -> one square window that follows the camera (N, 3, T, S, S). Code z (N, Z) of N(0, 1) ->
    background: up-convolutions to one frame b (N, 3, S, S); foreground: up-convolutions in time and space to frames f
    (N, 3, T, S, S) and a mask m (N, 1, T, S, S); the clip is m f + (1 - m) b. Real or generated clip -> 3-D encoder,
    which is the discriminator (N, D) -> linear: one score. The players are optimised in turn with cross entropy; the
    generator maximises log D of its clips, and 0.1 times the mean of the mask is added to its loss, so that the
    background is used where nothing moves.

    To find what the generator still does wrong, the discriminator must know how scenes look and how things in them
    move. It is the encoder that is kept: by default the network published, `video_convnet`, of five layers with the
    last linear one.

    Held-out metrics: "accuracy" is the share of pairs of a real and a generated clip of which the real one scores
    higher (chance 1/2; this depends as much on the generator as on the discriminator). "frechet" is the Frechet
    distance between the kept encoder's own features of generated clips and of held-out ones, divided by the variance
    of the latter: 1 is what a single clip in the middle of the real ones would get. Each run has other features, and
    other ones at each evaluation, so it is no scale on which runs can be compared: it says how far the generator is
    behind the discriminator, not how good its clips look.

    Shortcut: pixel values that no real clip has, statistics of the batch, a moving camera (the generated background is
    at rest) or black bars would give the generated clips away regardless of what they show. Guard: a hyperbolic tangent
    keeps generated pixels in the range of real ones; equally many real and generated clips pass the encoder in one
    batch in the turns of both players, so they share the statistics of batch normalisation; the camera's movement is
    measured (`ops.clips.stabilise`) and the window of real clips moves with it; bars are cut off.

    Batch normalisation of the encoder: only real clips update the running statistics, in a separate pass. Features and
    held-out scores use these statistics, so held-out losses differ from training losses.

    Memory on a CPU in bfloat16, at most: 4.4 GB with all defaults (16 frames of 96 pixels, 128 clips), 2.5 GB with the
    paper's frames and batch (`--task.frames 32 --size 64 --batch-size 64`).

    Differences from the paper: the camera's movement is a translation found by correlation (in the paper a homography,
    from matches of SIFT, and clips that cannot be stabilised are left out); the last layer of the discriminator is
    linear on the mean over all positions instead of a convolution as large as the last map, so that any encoder fits;
    real and generated clips pass it in one batch; the generator's turn comes after the discriminator's, with other
    codes; random windows and mirror images; with fewer frames or pixels than 32 x 64 x 64 the foreground doubles its
    frames, or its sides, less often; the learning rate (2e-4 at 64 clips) warms up and falls by a cosine.
    """

    recipe = Recipe(optimizer="adamw", lr=8e-4, weight_decay=0.0, betas=(0.5, 0.999), momentum=0.5, others={})
    encoders: ClassVar[Mapping[str, EncoderSpec]] = {"encoder": EncoderSpec("video", default="video_convnet")}

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        frames: Annotated[int, Range(least=1)] = 16
        """Frames of a clip (T), 32 in the paper."""
        stride: Annotated[int, Range(least=1)] = 1
        """Distance between frames of the clip, in frames of the video."""
        code: Annotated[int, Range(least=1)] = 100
        """Length Z of the generator's codes."""
        width: Annotated[int, Range(least=8)] = 512
        """Channels of the first map of both streams of the generator; they halve with every doubling of the side."""
        mask: Annotated[float, Range(least=0)] = 0.1
        """Weight of the mean of the mask in the generator's loss."""
        least_side: Annotated[float, Range(above=0, most=1)] = 0.8
        """Smallest side of the window, as a share of the largest that fits."""
        stabilised: bool = True
        """Whether the window follows the camera's movement."""

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        self.head = nn.Linear(encoder.num_features, 1)
        self.generator = TwoStreams(config.code, frames=config.frames, side=size, width=config.width)

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"video": Clip(frames=config.frames, stride=config.stride)}

    def players(self) -> Mapping[str, tuple[str, ...]]:
        return {
            "discriminator": ("encoder", "head"),
            "generator": ("generator",),
        }

    def chance(self, batch_size: int) -> float:
        return 0.5

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Clip (N, T, 3, H, W) uint8 -> `Example` of N real clips and 2 N codes."""
        c = self.config
        clips = real_clips(batch["video"], self.size, rng, least_side=c.least_side, is_stabilised=c.stabilised)
        codes = torch.randn(2 * len(clips), c.code, generator=rng, device=clips.device)
        return Example(clips, *codes.chunk(2))

    def forward(self, example: Example, player: str = "discriminator") -> dict[str, Tensor]:
        """Scores (N,) of "real" and "made" clips; in the generator's turn also the "mask" (N, 1, T, S, S)."""
        if player == "generator":
            scene = self.generator(example.other_codes)
            return self._scores(example.clips, as_seen(scene.pixels)) | {"mask": scene.mask}
        prediction = self._scores(example.clips, self.generate(example))
        remember(self.encoder, example.clips)
        return prediction

    def loss(self, prediction: dict[str, Tensor], example: Example, player: str = "discriminator") -> dict[str, Tensor]:
        """The player's loss; "mask" is the share of the clips that the foreground covers."""
        if player == "generator":
            covered = prediction["mask"].float().mean()
            return {"loss": generator_bce(prediction["made"]) + self.config.mask * covered, "mask": covered}
        loss, _ = discriminator_bce(prediction["real"], prediction["made"])
        return {"loss": loss, "accuracy": real_above_made(prediction["real"], prediction["made"])}

    @torch.no_grad()
    def generate(self, example: Example) -> Tensor:
        """Clips (N, 3, T, S, S), normalised."""
        return as_seen(self.generator(example.codes).pixels)

    @torch.no_grad()
    def show(self, example: Example, prediction: dict[str, Tensor], count: int) -> list[Shown]:
        """Grids of real and generated clips, a generated clip taken apart, and clips with their scores."""
        scores = (prediction["real"].detach(), prediction["made"].detach())
        shown = shown_clips(example.clips, self.generate(example), scores, count)
        return [shown[0], self._apart(example), *shown[1:]][:count]

    def _apart(self, example: Example) -> Shown:
        """The first generated clip beside its foreground, mask and background."""
        scene = self.generator(example.codes)
        clip, foreground, background = (
            denormalise_clips(as_seen(x[:1])).expand(-1, -1, self.config.frames, -1, -1)[0].transpose(0, 1)
            for x in (scene.pixels, scene.foreground, scene.background)
        )
        mask = scene.mask[0].float().transpose(0, 1).expand(-1, 3, -1, -1)
        side_by_side = F.pad(
            torch.cat([F.pad(x, (0, 2), value=1.0) for x in (foreground, mask, background)], 3), (0, 0)
        )
        label = "a generated clip; on the right its foreground, mask and background"
        return Shown(inputs=[clip], pseudo_label=label, prediction=side_by_side)

    def _scores(self, real: Tensor, made: Tensor) -> dict[str, Tensor]:
        first, second = judged_together(self.encoder, self.head, real, made)
        return {"real": first[:, 0], "made": second[:, 0]}


class TwoStreams(nn.Module):
    """Codes (N, Z) -> `Scene`: the generator of the paper's figure 1.

    Args:
        code: Z.
        frames: T of the clips.
        side: S of the clips.
        width: channels of the first maps.
    """

    def __init__(self, code: int, *, frames: int, side: int, width: int) -> None:
        super().__init__()
        self.side = side
        start = start_of(side)
        doublings = math.ceil(math.log2(side / start))
        first, in_time = first_frames(frames, doublings)
        widths = [width >> i for i in range(doublings)]
        self.project = nn.Linear(code, width * first * start**2, bias=False)
        # The first doublings are of the sides alone where there are fewer of the frames.
        self.trunk = nn.Sequential(
            nn.Unflatten(1, (width, first, start, start)),
            *_normalised(width),
            *(
                layer
                for i, (before, after) in enumerate(itertools.pairwise(widths))
                for layer in (_doubling(before, after, in_time=i >= doublings - in_time), *_normalised(after))
            ),
        )
        self.to_pixels = _doubling(widths[-1], 3, in_time=in_time > 0)
        self.to_mask = _doubling(widths[-1], 1, in_time=in_time > 0)
        self.background = FrameGenerator(code, side=side, width=width)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.ConvTranspose2d | nn.ConvTranspose3d):
                nn.init.normal_(module.weight, std=0.01)
            elif isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
                nn.init.normal_(module.weight, 1.0, 0.02)

    def forward(self, codes: Tensor) -> Scene:
        maps = self.trunk(self.project(codes))
        foreground, mask = self._sized(self.to_pixels(maps)).tanh(), self._sized(self.to_mask(maps)).sigmoid()
        background = self.background(codes)[:, :, None]
        return Scene(compose(foreground, mask, background), foreground, mask, background)

    def _sized(self, maps: Tensor) -> Tensor:
        if maps.shape[-1] == self.side:
            return maps
        return F.interpolate(maps, size=(maps.shape[2], self.side, self.side), mode="trilinear", align_corners=False)


def compose(foreground: Tensor, mask: Tensor, background: Tensor) -> Tensor:
    """m f + (1 - m) b, the paper's eq. 3, with one background (N, 3, 1, S, S) for all frames (N, 3, T, S, S)."""
    return torch.lerp(background.expand_as(foreground), foreground, mask.expand_as(foreground))


def first_frames(frames: int, doublings: int) -> tuple[int, int]:
    """Frames of the first map, at least 2 where there are as many, and how often they double, `doublings` at most."""
    times = 0
    while frames % 2 == 0 and frames > 2 and times < doublings:
        frames, times = frames // 2, times + 1
    return frames, times


def _doubling(before: int, after: int, *, in_time: bool) -> nn.ConvTranspose3d:
    if in_time:
        return nn.ConvTranspose3d(before, after, 4, stride=2, padding=1)
    return nn.ConvTranspose3d(before, after, (1, 4, 4), stride=(1, 2, 2), padding=(0, 1, 1))


def _normalised(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm3d(channels), nn.ReLU(inplace=True)
