"""Transformers whose patches are taken and given one by one."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch

from selftaught.core.randomness import generator
from selftaught.encoders.base import TokenEncoder
from selftaught.encoders.build import build_encoder
from selftaught.encoders.vit import VitEncoder, has_patch_tokens
from selftaught.ops.positions import grid_positions, sine_cosine


def make(name: str, size: int = 32, stem: Any = "auto") -> VitEncoder:
    torch.manual_seed(0)
    encoder = build_encoder(f"timm:{name}" if ":" not in name else name, size=size, stem=stem)
    assert isinstance(encoder, VitEncoder)
    return encoder.eval()


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("test_vit", 1),
        ("test_vit2", 1),  # layer scale
        ("test_vit3", 1),
        ("vit_wee_patch16_reg1_gap_256", 1),  # a register in place of the class token
        ("vit_small_patch14_reg4_dinov2", 5),
        ("vit_medium_patch16_gap_240", 0),
        ("vit_tiny_patch16_224", 1),
        ("deit_tiny_patch16_224", 1),
        ("deit_tiny_distilled_patch16_224", 2),
        ("deit3_small_patch16_224", 1),
        ("grey:timm:test_vit", 1),
    ],
)
@torch.no_grad()
def test_all_patches_give_what_timm_gives(name: str, prefix: int) -> None:
    encoder = make(name)
    assert encoder.num_prefix_tokens == prefix
    x = torch.randn(2, 3, 32, 32, generator=generator("images"))
    tokens, positions = encoder.embed_patches(x)
    assert tokens.shape == (2, 64, encoder.token_features)
    assert torch.equal(positions, grid_positions(8, 8))
    assert torch.equal(encoder.forward_tokens(tokens), encoder.forward_features(x))


@torch.no_grad()
def test_images_that_are_not_square_and_of_other_sizes_have_their_own_grid() -> None:
    encoder = make("vit_tiny_patch16_224", 64)
    x = torch.randn(1, 3, 48, 96, generator=generator("images"))
    tokens, positions = encoder.embed_patches(x)
    assert encoder.token_grid("block3", 48, 96) == (3, 6)
    assert positions.tolist()[7] == [1, 1]
    assert torch.equal(encoder.forward_tokens(tokens), encoder.forward_features(x))


@torch.no_grad()
def test_patches_left_out_are_not_seen_and_their_order_does_not_matter() -> None:
    encoder = make("test_vit")
    x = torch.randn(2, 3, 32, 32, generator=generator("images"))
    kept = torch.tensor([60, 3, 17])
    found = encoder.forward_tokens(encoder.embed_patches(x)[0][:, kept])
    assert found.shape == (2, 1 + 3, encoder.token_features)
    other = torch.randn(x.shape, generator=generator("others"))
    for index in kept.tolist():
        row, column = index // 8 * 4, index % 8 * 4
        other[:, :, row : row + 4, column : column + 4] = x[:, :, row : row + 4, column : column + 4]
    torch.testing.assert_close(encoder.forward_tokens(encoder.embed_patches(other)[0][:, kept]), found)
    turned = encoder.forward_tokens(encoder.embed_patches(x)[0][:, kept.flip(0)])
    torch.testing.assert_close(turned[:, 1:].flip(1), found[:, 1:])
    torch.testing.assert_close(turned[:, 0], found[:, 0])


@pytest.mark.parametrize("name", ["test_vit", "vit_wee_patch16_reg1_gap_256", "deit_tiny_distilled_patch16_224"])
def test_fixed_positions_are_sines_and_cosines_that_do_not_learn(name: str) -> None:
    encoder = make(name)
    encoder.fix_positions()
    embedding = encoder.net.pos_embed
    assert isinstance(embedding, torch.nn.Parameter)
    assert not embedding.requires_grad
    own = embedding.shape[1] - 64
    assert torch.equal(embedding[0, own:], sine_cosine(grid_positions(8, 8), encoder.token_features))
    assert not embedding[:, :own].any()


def test_every_parameter_before_the_pooling_learns_from_tokens() -> None:
    encoder = make("test_vit").train()
    encoder.forward_tokens(encoder.embed_patches(torch.randn(2, 3, 32, 32))[0][:, :9]).square().sum().backward()
    assert [name for name, p in encoder.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize(
    "name", ["resnet18", "beit_base_patch16_224", "vit_tiny_r_s16_p8_224", "vit_relpos_small_patch16_224"]
)
def test_networks_whose_patches_cannot_be_left_out_are_none(name: str) -> None:
    with torch.device("meta"):
        assert not has_patch_tokens(timm.create_model(name))
    assert not isinstance(build_encoder("timm:test_resnet", size=32), TokenEncoder)
