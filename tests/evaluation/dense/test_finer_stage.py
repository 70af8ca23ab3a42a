"""Stages with a smaller stride keep their weights and see the same at the positions they had."""

from __future__ import annotations

import pytest
import torch

from selftaught.encoders.build import build_encoder
from selftaught.encoders.feature_map import stage_maps
from selftaught.evaluation.dense.finer_stage import finer_stage


@pytest.mark.parametrize(("stage", "stride", "side"), [("layer3", 8, 8), ("layer4", 8, 8), ("layer3", 16, 4)])
def test_a_resnet_has_the_stride_asked_for(stage: str, stride: int, side: int) -> None:
    encoder = build_encoder("resnet18", size=64, stem="standard").eval()
    finer = finer_stage(encoder, stage, stride)
    with torch.no_grad():
        assert stage_maps(finer, torch.zeros(1, 3, 64, 64))[stage].shape[-1] == side
        assert stage_maps(encoder, torch.zeros(1, 3, 64, 64))["layer3"].shape[-1] == 4, "the encoder stays as it is"
    for (name, one), (other, two) in zip(encoder.state_dict().items(), finer.state_dict().items(), strict=True):
        assert name == other
        assert torch.equal(one, two)


def test_shortcuts_with_pooling_keep_their_size() -> None:
    finer = finer_stage(build_encoder("timm:test_resnet", size=64).eval(), "layer4", 4)
    with torch.no_grad():
        assert stage_maps(finer, torch.zeros(1, 3, 64, 64))["layer4"].shape[-1] >= 16


def test_transformers_stay_as_they_are() -> None:
    encoder = build_encoder("timm:test_vit", size=160).eval()
    finer = finer_stage(encoder, encoder.stages[-1], 4)
    x = torch.rand(1, 3, 160, 160)
    with torch.no_grad():
        assert torch.equal(encoder(x), finer(x))
