"""Which stages a detector reads, and the maps of one width that they become."""

from __future__ import annotations

import pytest
import torch

from selftaught.encoders.build import build_encoder
from selftaught.evaluation.dense.detector_necks import Pyramid, c4_stages, pyramid_stages
from selftaught.evaluation.dense.stage_maps import (
    centre_kernels,
    read_stages,
)


def test_stages_that_are_read() -> None:
    resnet = build_encoder("resnet18", size=64).eval()
    reading = read_stages(resnet)
    assert [stage.name for stage in pyramid_stages(reading, 128)] == ["layer1", "layer2", "layer3", "layer4"]
    assert [stage.name for stage in pyramid_stages(reading, 1600)] == ["layer2", "layer3", "layer4"]
    assert [stage.name for stage in c4_stages(resnet, reading, None)] == ["layer3", "layer4"]
    assert [stage.name for stage in c4_stages(resnet, reading, "layer4")] == ["layer4"]
    with pytest.raises(ValueError, match=r"--probe.stage: unknown stage 'layer5'; did you mean"):
        c4_stages(resnet, reading, "layer5")
    alexnet = build_encoder("alexnet", size=64).eval()
    centre_kernels(alexnet)
    assert [stage.name for stage in pyramid_stages(read_stages(alexnet), 128)] == ["conv1", "conv2", "conv5"]
    assert [stage.name for stage in c4_stages(alexnet, read_stages(alexnet), None)] == ["conv5"]


def test_an_encoder_of_one_stride_gives_four_maps() -> None:
    encoder = build_encoder("timm:vit_tiny_patch16_224", size=64).eval()
    (stage,) = pyramid_stages(read_stages(encoder), 64)
    pyramid = Pyramid([stage], 8, "32-true")
    maps = pyramid({stage.name: torch.randn(1, 192, 4, 6)})
    assert {name: tuple(value.shape[1:]) for name, value in maps.items()} == {
        "0": (8, 16, 24),
        "1": (8, 8, 12),
        "2": (8, 4, 6),
        "3": (8, 2, 3),
        "pool": (8, 1, 2),
    }
    assert pyramid.all_strides == (4, 8, 16, 32, 64)
