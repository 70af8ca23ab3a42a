"""torchvision's MViTv2 for clips of any size and length."""

from __future__ import annotations

from typing import Any, final

from torch import Tensor, nn

from selftaught.encoders.base import Encoder
from selftaught.encoders.staged import StagedEncoder


@final
class MvitEncoder(StagedEncoder):
    """torchvision builds the network for 16 frames of 224 x 224 pixels, and takes clips of that size alone.

    Its relative positions are interpolated where there are more or fewer patches, so nothing but the count of patches
    depends on the size: here it is that of the clip. Pooled features are the class token, as published.
    """

    def stage_output(self, stage: str) -> tuple[nn.Module, int]:
        return Encoder.stage_output(self, stage)  # a block gives the size of its grid as well

    def forward_stages(self, x: Tensor) -> dict[str, Tensor]:
        return self._pass(x)[0]

    def forward_features(self, x: Tensor) -> Tensor:
        return self._pass(x)[0][self.stages[-1]]

    def forward(self, x: Tensor) -> Tensor:
        return self._pass(x)[1]

    def _pass(self, x: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Every stage as a clip (N, D, T, H, W), and the class token (N, D)."""
        self._check(x)
        net: Any = self.net
        patches = net.conv_proj(x)
        grid = tuple(patches.shape[2:])
        tokens = net.pos_encoding(patches.flatten(2).transpose(1, 2))
        at = {path: stage for stage, path in self.layout.stages.items()}
        stages: dict[str, Tensor] = {}
        for index, block in enumerate(net.blocks):
            tokens, grid = block(tokens, grid)
            if stage := at.get(f"blocks.{index}"):
                stages[stage] = _as_clip(tokens, grid)
        tokens = net.norm(tokens)
        stages[self.stages[-1]] = _as_clip(tokens, grid)
        return stages, tokens[:, 0]


def _as_clip(tokens: Tensor, grid: tuple[int, ...]) -> Tensor:
    """The patches behind the class token (N, 1 + T H W, D) -> (N, D, T, H, W)."""
    clip: Tensor = tokens[:, 1:].transpose(1, 2).unflatten(2, grid)
    return clip
