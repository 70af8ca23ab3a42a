"""The transformer over cubes: tokens in any order, positions by the formula, and the published names of weights."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from selftaught.encoders.build import build_encoder
from selftaught.encoders.video.videovit import VideoVit, numbered_sines
from selftaught.encoders.weights.load import load_weights


def made(name: str = "videovit_tiny", size: int = 16) -> VideoVit:
    torch.manual_seed(0)
    encoder = build_encoder(name, size=size)
    assert isinstance(encoder, VideoVit)
    return encoder.eval()


def test_stages_are_clips_and_tokens_give_the_last_one() -> None:
    encoder, x = made(), torch.randn(2, 3, 4, 16, 8)
    stages = encoder.forward_stages(x)
    assert list(stages) == [f"block{n}" for n in range(1, 13)]
    assert {tuple(features.shape) for features in stages.values()} == {(2, 192, 2, 4, 2)}
    tokens, positions = encoder.embed_patches(x)
    assert positions.tolist() == [[t, row, column] for t in range(2) for row in range(4) for column in range(2)]
    last = encoder.forward_tokens(tokens)
    for place, (t, row, column) in enumerate(positions.tolist()):
        torch.testing.assert_close(last[:, place], stages["block12"][:, :, t, row, column])
    torch.testing.assert_close(encoder(x), last.mean(1))
    torch.testing.assert_close(encoder.forward_features(x), stages["block12"])


def test_a_cube_sees_its_own_pixels_and_any_part_of_them_can_be_given() -> None:
    encoder, x = made(), torch.randn(1, 3, 4, 16, 16)
    tokens, _ = encoder.embed_patches(x)
    changed = x.clone()
    changed[:, :, 2:, 4:8, 12:] += 1
    differs = (encoder.embed_patches(changed)[0] != tokens).any(2)[0].nonzero().flatten().tolist()
    assert differs == [16 + 4 + 3]
    order = torch.tensor([5, 0, 30, 17])
    torch.testing.assert_close(
        encoder.forward_tokens(tokens[:, order.flip(0)]).flip(1), encoder.forward_tokens(tokens[:, order])
    )


def test_positions_are_sines_and_cosines_of_the_number() -> None:
    found = numbered_sines(5, 6, torch.device("cpu"))
    for number in range(5):
        for place in range(6):
            angle = number / 10000 ** (2 * (place // 2) / 6)
            expected = math.cos(angle) if place % 2 else math.sin(angle)
            assert float(found[number, place]) == pytest.approx(expected, abs=1e-6)


def test_an_odd_last_frame_counts_twice_and_sides_must_fit() -> None:
    encoder, x = made(), torch.randn(1, 3, 3, 16, 16)
    torch.testing.assert_close(encoder(x), encoder(torch.cat([x, x[:, :, -1:]], 2)))
    with pytest.raises(
        ValueError, match=r"'videovit_tiny' needs sides that are a multiple of its 4-pixel cubes, got 18"
    ):
        encoder(torch.randn(1, 3, 2, 18, 16))


def test_published_weights_of_the_small_one_can_be_read(tmp_path: Path) -> None:
    """Names and shapes as modeling_pretrain.py of the authors has them, without "encoder."."""
    encoder = made("videovit_small", size=224)
    shapes = {"patch_embed.proj.weight": (384, 3, 2, 16, 16), "patch_embed.proj.bias": (384,)}
    for n in range(12):
        shapes |= {
            f"blocks.{n}.norm1.weight": (384,), f"blocks.{n}.norm1.bias": (384,),
            f"blocks.{n}.attn.q_bias": (384,), f"blocks.{n}.attn.v_bias": (384,),
            f"blocks.{n}.attn.qkv.weight": (1152, 384),
            f"blocks.{n}.attn.proj.weight": (384, 384), f"blocks.{n}.attn.proj.bias": (384,),
            f"blocks.{n}.norm2.weight": (384,), f"blocks.{n}.norm2.bias": (384,),
            f"blocks.{n}.mlp.fc1.weight": (1536, 384), f"blocks.{n}.mlp.fc1.bias": (1536,),
            f"blocks.{n}.mlp.fc2.weight": (384, 1536), f"blocks.{n}.mlp.fc2.bias": (384,),
        }  # fmt: skip
    shapes |= {"norm.weight": (384,), "norm.bias": (384,)}
    assert {key: tuple(value.shape) for key, value in encoder.state_dict().items()} == shapes
    torch.save({key: torch.full(shape, 0.01) for key, shape in shapes.items()}, tmp_path / "small.pth")
    load_weights(encoder, tmp_path / "small.pth")
    assert all(bool((value == 0.01).all()) for value in encoder.state_dict().values())
    assert sum(p.numel() for p in encoder.parameters()) == 21_879_936
