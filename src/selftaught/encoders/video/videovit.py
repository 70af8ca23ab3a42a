"""The plain vision transformer over cubes of clips of VideoMAE (Tong, Song, Wang, Wang, NeurIPS 2022)."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Literal, final

import torch
from timm.models.beit import Block
from torch import Tensor, nn

from selftaught.encoders.base import TokenEncoder
from selftaught.encoders.names import EncoderInfo
from selftaught.encoders.spec import COLOURS

TUBE = 2
"""Frames of a cube."""
PATCH = {"standard": 16, "small": 4}
"""Stem -> side of a cube in pixels; 16 as published."""
SHAPES = {"videovit_tiny": (192, 3), "videovit_small": (384, 6)}
"""Name -> width and heads; the small one as published."""


@final
class VideoVit(TokenEncoder):
    """Clips (N, channels, T, H, W) -> (N, D): cubes of 2 x 16 x 16 pixels, 12 blocks of attention over all of them.

    There is no class token; positions are fixed sines and cosines of a cube's number, frame by frame and row by row,
    and pooled features are the mean over cubes. A last odd frame is taken twice. Names of weights are those of the
    encoder published (https://github.com/MCG-NJU/VideoMAE, modeling_pretrain.py) without "encoder." before them, so a
    file of its weights can be read with the standard stem. With the small stem, cubes are 2 x 4 x 4 pixels.

    Stages are the 12 blocks, as clips (N, D, T / 2, H / 16, W / 16); the last one is normalised.
    """

    kind: Literal["video"] = "video"
    num_prefix_tokens = 0

    def __init__(self, info: EncoderInfo, *, stem: str, channels: int = COLOURS) -> None:
        super().__init__()
        width, heads = SHAPES[info.name]
        self.name, self.stages, self.stem, self.channels = info.name, info.stages, stem, channels
        self.num_features = self.token_features = width
        self.patch = PATCH[stem]
        norm = partial(nn.LayerNorm, eps=1e-6)
        self.patch_embed = nn.ModuleDict({"proj": _projection(channels, width, self.patch)})
        self.blocks = nn.ModuleList(
            Block(width, heads, qkv_bias=True, norm_layer=norm)  # type: ignore[arg-type]
            for _ in info.stages
        )
        self.norm = norm(width)
        self.apply(_start)

    def embed_patches(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Clips (N, C, T, H, W) -> a token for each cube (N, L, D), and its time, row and column (L, 3) int64."""
        height, width = x.shape[-2:]
        if height % self.patch or width % self.patch:
            near = max(self.patch, height // self.patch * self.patch)
            raise ValueError(
                f"encoder '{self.name}' needs sides that are a multiple of its {self.patch}-pixel cubes, got {height} "
                f"x {width}; use --size {near} or {near + self.patch}"
            )
        x = self.seen(x)
        if x.shape[2] % TUBE:
            x = torch.cat([x, x[:, :, -1:]], 2)
        cubes: Tensor = self.patch_embed["proj"](x)
        grid = torch.stack(torch.meshgrid(*(torch.arange(n, device=x.device) for n in cubes.shape[2:]), indexing="ij"))
        tokens = cubes.flatten(2).transpose(1, 2)
        return tokens + numbered_sines(tokens.shape[1], tokens.shape[2], x.device).to(tokens.dtype), grid.flatten(1).T

    def forward_tokens(self, tokens: Tensor) -> Tensor:
        for block in self.blocks:
            tokens = block(tokens)
        found: Tensor = self.norm(tokens)
        return found

    def fix_positions(self) -> None:
        """They are fixed already."""

    def forward_stages(self, x: Tensor) -> dict[str, Tensor]:
        tokens, _ = self.embed_patches(x)
        found = {}
        for stage, block in zip(self.stages, self.blocks, strict=True):
            tokens = block(tokens)
            found[stage] = self._on_grid(self.norm(tokens) if stage == self.stages[-1] else tokens, x)
        return found

    def forward_features(self, x: Tensor) -> Tensor:
        tokens, _ = self.embed_patches(x)
        return self._on_grid(self.forward_tokens(tokens), x)

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_tokens(self.embed_patches(x)[0]).mean(1)

    def grid(self, x: Tensor) -> tuple[int, int, int]:
        """Times, rows and columns of the cubes of clips (N, C, T, H, W)."""
        return -(-x.shape[2] // TUBE), x.shape[3] // self.patch, x.shape[4] // self.patch

    def _on_grid(self, tokens: Tensor, x: Tensor) -> Tensor:
        """(N, L, D) -> (N, D, T', h, w)."""
        clips: Tensor = tokens.transpose(1, 2).unflatten(2, self.grid(x))
        return clips


@lru_cache(maxsize=8)
def numbered_sines(count: int, features: int, device: torch.device) -> Tensor:
    """Fixed embeddings (count, features) float32 of the numbers 0 ... count - 1, as of words (Vaswani et al. 2017).

    Sines of number / 10000^(2 i / features) at the even places 2 i, their cosines at the odd places after them.
    """
    half = torch.arange(features, dtype=torch.float64) // 2
    angles = torch.arange(count, dtype=torch.float64)[:, None] / 10000.0 ** (2 * half / features)
    angles[:, 0::2], angles[:, 1::2] = angles[:, 0::2].sin(), angles[:, 1::2].cos()
    return angles.float().to(device)


def _projection(channels: int, width: int, patch: int) -> nn.Conv3d:
    kernel = (TUBE, patch, patch)
    return nn.Conv3d(channels, width, kernel, stride=kernel)


def _start(module: nn.Module) -> None:
    """As published: Xavier's uniform distribution for linear layers, whose biases are 0."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
