"""timm's vision transformers (ViT, DeiT), whose patches can be taken and given one by one."""

from __future__ import annotations

from typing import Any, final

import torch
from timm.layers.patch_embed import PatchEmbed
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from selftaught.encoders.base import TokenEncoder
from selftaught.encoders.staged import Layout, Origin, StagedEncoder, check_side
from selftaught.ops.positions import grid_positions, sine_cosine


def has_patch_tokens(net: nn.Module) -> bool:
    """Whether each token sees one patch alone and has an embedding of its position, so that patches can be left out.

    Not so behind convolutions that overlap (hybrids), and where positions enter in the attention (BEiT, EVA).
    """
    return (
        isinstance(net, VisionTransformer)
        and type(net.patch_embed) is PatchEmbed
        and isinstance(getattr(net, "pos_embed", None), nn.Parameter)
    )


@final
class VitEncoder(StagedEncoder, TokenEncoder):
    """A transformer of `has_patch_tokens`; everything but the tokens is as of any network of timm.

    Positions are interpolated for images of another size than `size`, as timm does with `dynamic_img_size`.
    """

    def __init__(self, net: nn.Module, layout: Layout, origin: Origin, **named: Any) -> None:
        super().__init__(net, layout, origin, **named)
        vit = self._vit
        self.token_features = vit.embed_dim
        self.num_prefix_tokens = vit.num_prefix_tokens

    @property
    def _vit(self) -> VisionTransformer:
        assert isinstance(self.net, VisionTransformer)
        return self.net

    def embed_patches(self, x: Tensor) -> tuple[Tensor, Tensor]:
        height, width = x.shape[-2:]
        check_side(self.name, self.layout, height=height, width=width)
        x = self.seen(x)
        # timm puts class and register tokens first; `forward_tokens` adds them where patches have been left out.
        tokens = self._vit._pos_embed(self._vit.patch_embed(x))[:, self.num_prefix_tokens :]
        rows, columns = self.token_grid(self.stages[-1], height, width)
        return tokens, grid_positions(rows, columns, x.device)

    def forward_tokens(self, tokens: Tensor) -> Tensor:
        vit = self._vit
        names = ("cls_token", "reg_token", "dist_token")
        prefix = [token for name in names if (token := getattr(vit, name, None)) is not None]
        if prefix:
            first = torch.cat(prefix, 1)
            if not vit.no_embed_class:
                assert vit.pos_embed is not None
                first = first + vit.pos_embed[:, : self.num_prefix_tokens]
            tokens = torch.cat([vit.pos_drop(first).expand(len(tokens), -1, -1), tokens], 1)
        found: Tensor = vit.norm(vit.blocks(vit.norm_pre(tokens)))
        return found

    @torch.no_grad()
    def fix_positions(self) -> None:
        vit = self._vit
        assert vit.pos_embed is not None
        rows, columns = vit.patch_embed.grid_size
        embedding = sine_cosine(grid_positions(rows, columns, vit.pos_embed.device), self.token_features)
        vit.pos_embed.zero_()
        vit.pos_embed[0, vit.pos_embed.shape[1] - rows * columns :] = embedding
        vit.pos_embed.requires_grad_(False)
