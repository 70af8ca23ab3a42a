"""Features of all stages of an encoder on one grid (Hariharan et al., CVPR 2015; Larsson et al., CVPR 2017)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selftaught.encoders.base import Encoder
from selftaught.encoders.feature_map import stage_features


class Hypercolumn(nn.Module):
    """All stages mapped to `width` channels, resized to one grid and added; then normalised, ReLU, and mapped to `out`.

    A dictionary of `placed_stages` -> (N, out, side, side), or of clips (N, out, T, side, side).

    Args:
        encoder: of images, or of clips.
        size: side of its images, pixels.
        out: channels of the result.
        side: of the result.
        width: channels of the sum.
        frames: of the clips that it takes; 0 for encoders of images.
        steps: T of the result, for encoders of clips; `frames` by default.
        fine_enough: take the last stage alone where it has at least `side` places along a side.

    Raises:
        ValueError: where the encoder ends in a sequence, whose layers no stage with places would train.
    """

    def __init__(
        self,
        encoder: Encoder,
        size: int,
        *,
        out: int,
        side: int,
        width: int = 128,
        frames: int = 0,
        steps: int = 0,
        fine_enough: bool = False,
    ) -> None:
        super().__init__()
        check_places(encoder)
        self.grid = (steps or frames, side, side) if frames else (side, side)
        conv: type[nn.Conv2d] | type[nn.Conv3d] = nn.Conv3d if frames else nn.Conv2d
        norm: type[nn.BatchNorm2d] | type[nn.BatchNorm3d] = nn.BatchNorm3d if frames else nn.BatchNorm2d
        shapes = stage_shapes(encoder, size, frames=frames)
        last = encoder.stages[-1]
        if fine_enough and shapes[last][-1] >= side:
            shapes = {last: shapes[last]}
        self.reduce = nn.ModuleDict({_key(name): conv(shape[0], width, 1) for name, shape in shapes.items()})
        self.classify = nn.Sequential(norm(width), nn.ReLU(inplace=True), conv(width, out, 1))

    def forward(self, stages: dict[str, Tensor], grid: tuple[int, ...] = ()) -> Tensor:
        """Stages of one pass -> the result, on another grid than its own where one is given."""
        maps = [
            resized(self.reduce[_key(name)](x), grid or self.grid)
            for name, x in stages.items()
            if _key(name) in self.reduce
        ]
        columns: Tensor = self.classify(torch.stack(maps).sum(0))
        return columns


def check_places(encoder: Encoder) -> None:
    """Refuse an encoder that ends in a sequence, in one sentence."""
    if encoder.stage_kind(encoder.stages[-1]) == "sequence":
        raise ValueError(
            f"encoder '{encoder.name}' ends in a sequence, without a place for each feature; choose another "
            "--encoder, such as mean:resnet18 or r3d_18"
        )


def placed_stages(encoder: Encoder, x: Tensor) -> dict[str, Tensor]:
    """The stages with a vector for each place: maps (N, C, h, w) of images, or clips (N, C, t, h, w) of clips."""
    found = stage_features(encoder, x)
    return {stage: features for stage, features in found.items() if encoder.stage_kind(stage) != "sequence"}


@torch.no_grad()
def stage_shapes(encoder: Encoder, size: int, *, frames: int = 0) -> dict[str, tuple[int, ...]]:
    """Shapes of `placed_stages` without the axis of samples: (C, h, w), or (C, t, h, w) of clips of `frames`."""
    mode = encoder.training
    device = next(encoder.parameters()).device
    shape = (1, encoder.channels, *((frames,) if frames else ()), size, size)
    found = placed_stages(encoder.eval(), torch.zeros(shape, device=device))
    encoder.train(mode)
    return {stage: tuple(x.shape[1:]) for stage, x in found.items()}


def resized(x: Tensor, grid: tuple[int, ...]) -> Tensor:
    """Maps (N, C, h, w) or clips (N, C, t, h, w) on another grid, linear between places; fewer times are means."""
    if len(grid) == 3 and x.shape[2] > grid[0]:
        x = F.adaptive_avg_pool3d(x, (grid[0], *x.shape[3:]))
    if x.shape[2:] == grid:
        return x
    return F.interpolate(x, grid, mode="trilinear" if len(grid) == 3 else "bilinear")


def _key(stage: str) -> str:
    """A stage's name as a module's, which must not hold a dot."""
    return stage.replace(".", "_")
