"""Video colorization by a 3-D U-net."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Generator, Tensor, nn

from selftaught.core.distributed import gather_rows
from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Input
from selftaught.encoders.base import Encoder, EncoderSpec
from selftaught.ops.colour_spaces import equal_lightness_grey, lab_to_rgb, rgb_to_lab
from selftaught.ops.frames import square_crops
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.clips.short_clips import for_encoder
from selftaught.tasks.parts.hypercolumn import check_places, placed_stages, resized, stage_shapes

UNIT = 100.0
"""Units of a and b that the network's outputs count in."""
FEWEST = 16
"""Channels of the decoder at least."""


@dataclass
class Example:
    """Grey clips, and their colours.

    Attributes:
        grey: (N, T, 3, S, S) in [0, 1], three equal channels: the lightness alone.
        pictures: (N, T, 3, S, S) in [0, 1], the clips in colour.
        colours: (N, 2, T, S, S), a and b of Lab.
    """

    grey: Tensor
    pictures: Tensor
    colours: Tensor


class VideoColorizationDirect(PretextTask):
    """Predict the colours of a whole grey clip (Tran, Bourdev, Fergus, Torresani, Paluri, CVPRW 2016).

    Link: https://arxiv.org/abs/1511.06681

    Flow: clip (N, T, 3, H, W) -> one square crop for all frames -> its lightness as a grey clip (N, 3, T, S, S) ->
    3-D encoder, all stages -> 3-D decoder: the last stage is resized to the grid of the stage before, joined with it
    and convolved, and so on up to the clip itself -> (a, b) of every voxel (N, 2, T, S, S) -> squared error.

    The network of the paper, Voxel2Voxel, is C3D with up-convolutions and skip connections, one of the first U-nets in
    space and time; it predicts a value for every voxel: here its colour. What has which colour depends on what it is,
    and the colours of a clip must agree over time.

    Shortcut: colour in the input. Guard: the encoder sees the grey clip of equal lightness, a function of L alone, so
    clips that differ only in a and b give the same prediction. Black bars, which are grey, are cut off. A constant
    tint gains nothing: the metric is the error in dB below that of the mean colour of all training clips so far, so it
    is at most about 0 on clips of noise, where lightness says nothing of colour. The kept encoder has the prefix
    `grey:`, as in `grey:r3d_18` and `mean:grey:resnet18`, so probes show it grey clips too.

    Differences from the paper: any encoder of clips takes the place of C3D; stages are resized linearly and convolved,
    where the paper has transposed convolutions; channels halve from `width` down; the loss is of a and b in units of
    100, not of RGB.
    """

    recipe = Recipe(optimizer="adamw", lr=2e-3, weight_decay=1e-2)
    encoders: ClassVar[Mapping[str, EncoderSpec]] = {"encoder": EncoderSpec("video", sees="grey")}

    mean_colour: Tensor
    batches: Tensor

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        frames: Annotated[int, Range(least=1)] = 16
        """Frames of a clip (T)."""
        stride: Annotated[int, Range(least=1)] = 1
        """Distance between frames of the clip, in frames of the video."""
        width: Annotated[int, Range(least=1)] = 128
        """Channels of the decoder's first convolution; they halve with every further one, down to 16."""
        least_side: Annotated[float, Range(above=0, most=1)] = 0.8
        """Smallest side of the crop, as a share of the short side between black bars."""

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"video": Clip(frames=config.frames, stride=config.stride)}

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        self.head = UNet(encoder, size, frames=config.frames, width=config.width)
        self.register_buffer("mean_colour", torch.zeros(2))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    def metric_name(self) -> str:
        return "psnr_gain"

    def chance(self, batch_size: int) -> float:
        """The mean colour of the training clips."""
        return 0.0

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Clip (N, T, 3, H, W) uint8 -> `Example`. In training its colours are added to their running mean."""
        pictures = square_crops(batch["video"], self.size, rng, least_side=self.config.least_side)
        colours = rgb_to_lab(pictures)[:, :, 1:].transpose(1, 2).contiguous()
        if self.training:
            mean = gather_rows(colours.mean((0, 2, 3, 4))[None]).mean(0)
            self.batches += 1
            self.mean_colour.lerp_(mean, 1 / self.batches.float())
        return Example(equal_lightness_grey(pictures).expand_as(pictures), pictures, colours)

    def forward(self, example: Example) -> Tensor:
        """Colours (N, 2, T, S, S), in units of 100."""
        clips = for_encoder(example.grey[:, None]) if self.config.frames > 1 else self._single(example.grey)
        colours: Tensor = self.head(placed_stages(self.encoder, clips), example.grey[:, :, :1].transpose(1, 2))
        return colours

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """Squared error, and the dB gained over the mean colour."""
        error = (prediction.float() - example.colours / UNIT).square().mean()
        trivial = ((example.colours - self.mean_colour.view(1, 2, 1, 1, 1)) / UNIT).square().mean()
        gain = 10 * (trivial.clamp(min=1e-8) / error.detach().clamp(min=1e-8)).log10()
        return {"loss": error, "psnr_gain": gain}

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """The grey clip, the clip, and its lightness in the predicted colours."""
        pictures = example.pictures[:count].float()
        colours = prediction[:count].float().transpose(1, 2) * UNIT
        coloured = lab_to_rgb(torch.cat([rgb_to_lab(pictures)[:, :, :1], colours], 2))
        return [
            Shown(inputs=[example.grey[i]], pseudo_label=pictures[i], prediction=coloured[i])
            for i in range(len(pictures))
        ]

    def _single(self, grey: Tensor) -> Tensor:
        """Clips of one frame, (N, 3, 1, S, S)."""
        return for_encoder(grey[:, None])[:, :, None]


class UNet(nn.Module):
    """All stages of an encoder of clips, and the grey clip (N, 1, T, S, S) in [0, 1], to (N, 2, T, S, S)."""

    def __init__(self, encoder: Encoder, size: int, *, frames: int, width: int) -> None:
        super().__init__()
        check_places(encoder)
        shapes = stage_shapes(encoder, size, frames=frames)
        self.stages = list(shapes)[::-1]
        joined = [shapes[stage][0] for stage in self.stages[1:]] + [1]
        before, layers = shapes[self.stages[0]][0], []
        for number, channels in enumerate(joined):
            after = max(FEWEST, width >> number)
            layers.append(
                nn.Sequential(
                    nn.Conv3d(before + channels, after, 3, padding=1, bias=False),
                    nn.BatchNorm3d(after),
                    nn.ReLU(inplace=True),
                )
            )
            before = after
        self.join = nn.ModuleList(layers)
        self.colours = nn.Conv3d(before, 2, 1)

    def forward(self, stages: dict[str, Tensor], grey: Tensor) -> Tensor:
        x = stages[self.stages[0]]
        finer = [*(stages[stage] for stage in self.stages[1:]), grey]
        for layer, skip in zip(self.join, finer, strict=True):
            x = layer(torch.cat([resized(x, tuple(skip.shape[2:])), skip.to(x.dtype)], 1))
        colours: Tensor = self.colours(x)
        return colours
