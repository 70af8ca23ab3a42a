"""MCNet (Villegas, Yang, Hong, Lin, Lee, ICLR 2017, https://arxiv.org/abs/1706.08033)."""

from __future__ import annotations

from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selftaught.encoders.base import Encoder
from selftaught.ops.colour import to_grey
from selftaught.tasks.parts.adversarial import own_statistics
from selftaught.tasks.parts.clips.conv_lstm import ConvLSTM
from selftaught.tasks.parts.clips.short_clips import for_encoder
from selftaught.tasks.parts.hypercolumn import Hypercolumn, placed_stages, resized, stage_shapes

SCALES = 3
"""Halvings of the side, and multi-scale residuals: at the whole side, a half and a quarter."""


class MCNet(nn.Module):
    """The next frame from what moves and from what is there, and so on, each frame from those before it.

    Motion: differences of grey frames -> convolutions and pooling -> ConvLSTM at an eighth of the side. Content: the
    last frame -> encoder, all its stages at an eighth of the side. Both -> convolutions -> decoder, which doubles the
    side three times. At each scale, motion and content before pooling are added as a residual.

    Args:
        encoder: of content, of images or of clips; not a part of this module.
        size: side S of the frames, a multiple of 8.
        clip: frames of the clip that the encoder sees; 1 for an encoder of images, which sees the last frame.
        width: channels at the whole side, 64 in the authors' code; twice and four times as many at the next scales.
    """

    def __init__(self, encoder: Encoder, size: int, *, clip: int, width: int) -> None:
        super().__init__()
        self.size, self.clip = size, clip
        w, frames = width, clip if clip > 1 else 0
        self.motion = nn.ModuleList([_conv(1, w, 5), _conv(w, 2 * w, 5), _conv(2 * w, 4 * w, 7)])
        self.dynamics = ConvLSTM(4 * w, 4 * w, kernel=3)
        self.content = Hypercolumn(encoder, size, out=4 * w, side=size // 8, width=2 * w, frames=frames, steps=1)
        self.combine = nn.Sequential(_conv(8 * w, 4 * w, 3), _conv(4 * w, 2 * w, 3), _conv(2 * w, 4 * w, 3))
        shapes = stage_shapes(encoder, size, frames=frames)
        self.stages = [_nearest(shapes, size >> scale) for scale in range(SCALES)]
        seen = [shapes[stage][0] for stage in self.stages]
        self.residuals = nn.ModuleList(
            nn.Sequential(
                _conv((w << scale) + seen[scale] + (0 if scale else 3), w << scale, 3),
                nn.Conv2d(w << scale, w << scale, 3, padding=1),
            )
            for scale in range(SCALES)
        )
        self.decode = nn.ModuleList(
            [
                nn.Sequential(_conv(w, w, 3), nn.Conv2d(w, 3, 3, padding=1)),
                nn.Sequential(_conv(2 * w, 2 * w, 3), _conv(2 * w, w, 3)),
                nn.Sequential(_conv(4 * w, 4 * w, 3), _conv(4 * w, 4 * w, 3), _conv(4 * w, 2 * w, 3)),
            ]
        )

    def forward(self, encoder: Encoder, past: Tensor, steps: int) -> Tensor:
        """Frames (N, T, 3, S, S) in [0, 1] -> those that follow (N, steps, 3, S, S) in [0, 1]."""
        n = len(past)
        grey = to_grey(past).diff(dim=1)
        pooled, before_pooling = self._move(grey.flatten(0, 1))
        hidden, state = self.dynamics(pooled.unflatten(0, (n, -1)))
        dynamic = hidden[:, -1]
        moved = [x.unflatten(0, (n, -1))[:, -1] for x in before_pooling]
        frames = list(past.unbind(1))
        for step in range(steps):
            if step:
                pooled, moved = self._move(to_grey(frames[-1]) - to_grey(frames[-2]))
                found, state = self.dynamics(pooled[:, None], state)
                dynamic = found[:, 0]
            # Only true frames count in the statistics that the encoder keeps.
            with own_statistics(encoder) if step else nullcontext():
                content, seen = self._see(encoder, frames)
            frames.append(self._draw(self.combine(torch.cat([dynamic, content], 1)), moved, seen, frames[-1]))
        return torch.stack(frames[-steps:], 1)

    def _move(self, differences: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(N, 1, S, S) -> motion (N, 4 w, S / 8, S / 8), and the maps before each pooling."""
        before_pooling = []
        for layer in self.motion:
            differences = layer(differences)
            before_pooling.append(differences)
            differences = F.max_pool2d(differences, 2)
        return differences, before_pooling

    def _see(self, encoder: Encoder, frames: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Content (N, 4 w, S / 8, S / 8) of the last frames, and the stage of each scale at its side."""
        stages = placed_stages(encoder, for_encoder(torch.stack(frames[-self.clip :], 1)[:, None]))
        content = self.content(stages)
        if self.clip > 1:
            content, stages = content[:, :, 0], {stage: x.mean(2) for stage, x in stages.items()}
        return content, [resized(stages[stage], (self.size >> n,) * 2) for n, stage in enumerate(self.stages)]

    def _draw(self, x: Tensor, moved: list[Tensor], seen: list[Tensor], last: Tensor) -> Tensor:
        """The next frame (N, 3, S, S) in [0, 1]."""
        for scale in reversed(range(SCALES)):
            # An encoder with a strided stem has lost the details of the last frame.
            parts = [moved[scale], seen[scale], *([] if scale else [last])]
            x = self.decode[scale](F.relu(unpooled(x) + self.residuals[scale](torch.cat(parts, 1))))
        return 0.5 + 0.5 * torch.tanh(x.float())


def unpooled(x: Tensor) -> Tensor:
    """Each value at the upper left of 2 x 2 places, the others 0: (N, C, h, w) -> (N, C, 2 h, 2 w)."""
    n, c, h, w = x.shape
    spread = x.new_zeros(n, c, 2 * h, 2 * w)
    spread[..., ::2, ::2] = x
    return spread


def _nearest(shapes: dict[str, tuple[int, ...]], side: int) -> str:
    """The stage whose side is nearest, the deeper of two alike."""
    return min(reversed(shapes), key=lambda stage: abs(shapes[stage][-1] - side))


def _conv(channels: int, out: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, out, kernel, padding=kernel // 2), nn.ReLU(inplace=True))
