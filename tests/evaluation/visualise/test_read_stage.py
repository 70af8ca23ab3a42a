from __future__ import annotations

import pytest
import torch

from selftaught.core.randomness import generator
from selftaught.encoders.build import build_encoder
from selftaught.encoders.feature_map import stage_maps
from selftaught.evaluation.visualise.read_stage import read_map
from tests.evaluation.visualise.made import SmallEncoder


@pytest.mark.parametrize("name", ["alexnet", "resnet18", "densenet121", "grey:googlenet", "timm:vit_tiny_patch16_224"])
def test_a_stage_is_the_same_as_of_the_whole_pass(name: str) -> None:
    encoder = build_encoder(name, size=64, stem="standard").eval()
    x = torch.randn(1, 3, 64, 64, generator=generator("stage"))
    with torch.no_grad():
        whole = stage_maps(encoder, x)
        for stage in encoder.stages:
            assert torch.equal(read_map(encoder, stage, x), whole[stage]), stage
        assert torch.equal(stage_maps(encoder, x)[encoder.stages[0]], whole[encoder.stages[0]])


def test_nothing_after_the_stage_is_computed() -> None:
    encoder = build_encoder("resnet18", size=32, stem="standard").eval()
    calls: list[str] = []
    for name in ("layer1", "layer2", "layer3"):
        module = encoder.get_submodule(f"net.{name}")
        module.register_forward_hook(lambda *_args, name=name: calls.append(name))
    read_map(encoder, "layer2", torch.zeros(1, 3, 32, 32))
    assert calls == ["layer1", "layer2"]


def test_an_encoder_of_ones_own_is_read_whole() -> None:
    encoder, x = SmallEncoder(), torch.zeros(1, 3, 8, 8)
    assert torch.equal(read_map(encoder, "conv1", x), encoder.forward_stages(x)["conv1"])
