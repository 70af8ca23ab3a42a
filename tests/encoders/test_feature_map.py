"""Unpooled features with the channels first: maps, clips, tokens and sequences, as the encoder says."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor

from selftaught.encoders.base import Encoder, StageKind
from selftaught.encoders.build import build_encoder
from selftaught.encoders.feature_map import (
    channels_first,
    last_map,
    map_over_time,
    map_over_time_shape,
    map_shape,
    stage_features,
    stage_maps,
)


class Kinds(Encoder):
    """One stage of every kind that images can have: a map, tokens behind two others, a sequence of rows."""

    name = "kinds"
    kind: Literal["image"] = "image"
    num_features = 3
    stages = ("map", "tokens", "sequence")

    def stage_kind(self, stage: str) -> StageKind:
        return stage  # type: ignore[return-value]

    def token_grid(self, stage: str, height: int, width: int) -> tuple[int, int]:
        return height // 4, width // 4

    def forward_stages(self, x: Tensor) -> dict[str, Tensor]:
        maps = torch.nn.functional.avg_pool2d(x, 4)
        tokens = maps.flatten(2).transpose(1, 2)
        return {"map": maps, "tokens": torch.cat([tokens[:, :2] * 0 - 9, tokens], 1), "sequence": x.mean(3).mT}

    def forward_features(self, x: Tensor) -> Tensor:
        return self.forward_stages(x)["sequence"]

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


@pytest.mark.parametrize(("height", "width"), [(12, 12), (8, 24), (24, 8), (4, 36)])
def test_each_kind_is_brought_to_its_places_whatever_the_shape_of_the_image(height: int, width: int) -> None:
    x = torch.randn(2, 3, height, width)
    found = stage_features(Kinds(), x)
    assert torch.equal(found["tokens"], found["map"])
    assert found["map"].shape == (2, 3, height // 4, width // 4)
    assert torch.equal(found["sequence"], x.mean(3))
    assert list(stage_maps(Kinds(), x)) == ["map", "tokens"]


def test_clips_stay_as_they_are() -> None:
    encoder = build_encoder("r3d_18", size=32)
    clip = torch.randn(1, 64, 4, 8, 8)
    assert encoder.stage_kind("layer1") == "clip"
    assert channels_first(encoder, "layer1", clip, 32, 32) is clip


def test_an_encoder_that_ends_in_no_map_is_one_sentence() -> None:
    with pytest.raises(ValueError, match="encoder 'kinds' ends in a sequence, not in a map of features; choose anoth"):
        last_map(Kinds(), torch.zeros(1, 3, 8, 8))
    with pytest.raises(ValueError, match="stage 'layer1' of encoder 'resnet18' is a map and has no tokens"):
        build_encoder("resnet18", size=32).token_grid("layer1", 32, 32)


@pytest.mark.parametrize(("name", "shape"), [("timm:test_resnet", (96, 1)), ("timm:test_vit", (64, 8))])
def test_the_shape_is_that_of_the_map_and_the_mode_stays(name: str, shape: tuple[int, int]) -> None:
    encoder = build_encoder(name, size=32).train()
    assert map_shape(encoder, 32) == shape
    assert encoder.training


@pytest.mark.parametrize(("name", "shape"), [("mc3_18", (512, 4, 4)), ("lstm:timm:test_resnet", (256, 1, 1))])
def test_maps_over_time_are_means_of_the_last_stage(name: str, shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    encoder = build_encoder(name, size=32).train()
    assert map_over_time_shape(encoder, 2, 32) == shape
    assert encoder.training
    clips = torch.randn(2, 3, 2, 32, 32)
    with torch.no_grad():
        found = map_over_time(encoder.eval(), clips)
        last = encoder.forward_features(clips)
    expected = last.mean(2) if last.ndim == 5 else last.mean(1)[:, :, None, None]
    assert torch.allclose(found, expected, atol=1e-6)
