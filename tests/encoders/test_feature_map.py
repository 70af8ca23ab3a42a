"""Unpooled features as a map, of convolutions and of tokens."""

from __future__ import annotations

import torch

from selftaught.encoders.build import build_encoder
from selftaught.encoders.feature_map import feature_map, map_shape


def test_maps_stay_and_tokens_lie_row_by_row_behind_class_tokens() -> None:
    maps = torch.randn(2, 5, 3, 4)
    assert feature_map(maps) is maps
    for classes in (0, 1, 2):
        tokens = torch.arange(classes + 9, dtype=torch.float32).view(1, -1, 1).expand(1, -1, 4)
        found = feature_map(tokens)
        assert found.shape == (1, 4, 3, 3)
        assert found[0, 0].tolist() == [[classes + 3 * row + column for column in range(3)] for row in range(3)]


def test_the_shape_is_that_of_the_map_and_the_mode_stays() -> None:
    for name, shape in (("timm:test_resnet", (96, 1)), ("timm:test_vit", (64, 8))):
        encoder = build_encoder(name, size=32).train()
        with torch.no_grad():
            found = feature_map(encoder.eval().forward_features(torch.zeros(1, 3, 32, 32)))
        encoder.train()
        assert map_shape(encoder, 32) == (found.shape[1], found.shape[2])
        assert map_shape(encoder, 32)[0] == shape[0]
        assert encoder.training
