"""An encoder's stages as maps: strides, places and statistics."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from selftaught.core.randomness import generator
from selftaught.encoders.build import build_encoder
from selftaught.encoders.feature_map import stage_maps
from selftaught.evaluation.dense.stage_maps import (
    StageMaps,
    Standardise,
    centre_kernels,
    layers_after,
    read_stages,
    settle_norms,
)
from tests.evaluation.drawn_boxes import TinyEncoder
from tests.evaluation.drawn_classes import OtherKinds


@pytest.mark.parametrize(
    ("name", "strides"),
    [
        ("alexnet", [4, 8, 16, 16, 16]),
        ("resnet18", [2, 4, 8, 16, 32]),
        ("googlenet", [2, 4, 8, 16, 32]),
        ("split:alexnet", [4, 8, 16, 16, 16]),
        ("timm:vit_tiny_patch16_224", [16] * 12),
    ],
)
def test_strides_are_those_of_the_network(name: str, strides: list[int]) -> None:
    encoder = build_encoder(name, size=128).eval()
    centre_kernels(encoder)
    found = read_stages(encoder).stages
    assert [stage.stride for stage in found] == strides
    x = torch.randn(1, 3, 64, 128, generator=generator(0))
    with torch.no_grad():
        maps = stage_maps(encoder, x)
    for stage in found:
        assert maps[stage.name].shape == (1, stage.channels, 64 / stage.stride, 128 / stage.stride)


def test_tokens_of_images_that_are_not_square_are_standardised_as_maps() -> None:
    encoder = build_encoder("timm:test_vit", size=64, stem="standard").eval()
    reading = read_stages(encoder)
    maps = StageMaps(encoder, reading.stages, is_frozen=True, precision="32-true").eval()
    x = torch.randn(2, 3, 32, 96, generator=generator(0))
    with torch.no_grad():
        tokens = encoder.forward_features(x)
    found = maps(x)[encoder.stages[-1]]
    assert found.shape == (2, 64, 2, 6)
    torch.testing.assert_close(found[:, :, 1, 2], tokens[:, 1 + 6 + 2])


@pytest.mark.parametrize("name", ["alexnet", "googlenet"])
def test_the_first_position_looks_at_the_corner(name: str) -> None:
    """Where receptive fields lie, by the arithmetic of convolutions (Dumoulin & Visin 2016)."""
    encoder = build_encoder(name, size=64)
    plain = [m for m in encoder.modules() if isinstance(m, nn.MaxPool2d) and m.padding == 0 and m.kernel_size == 3]
    assert plain
    centre_kernels(encoder)
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d | nn.MaxPool2d):
            kernel, padding = (
                value if isinstance(value, int) else int(value[0]) for value in (module.kernel_size, module.padding)
            )
            assert kernel % 2 == 0 or padding == (kernel - 1) / 2


def test_centred_kernels_see_the_same_inside() -> None:
    """AlexNet's first position of conv1 has its middle at pixel 3 (2 of padding, 11 wide), and now at pixel 0."""
    plain, centred = (build_encoder("alexnet", size=64).eval() for _ in range(2))
    centred.load_state_dict(plain.state_dict())
    centre_kernels(centred)
    x = torch.randn(1, 3, 96, 96, generator=generator(1))
    with torch.no_grad():
        before = plain.forward_stages(x)["conv1"]
        after = centred.forward_stages(x.roll((-3, -3), (2, 3)))["conv1"]
    torch.testing.assert_close(before[..., 4:-4, 4:-4], after[..., 4 : before.shape[2] - 4, 4 : before.shape[3] - 4])


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("resnet18", "layer3"),
        ("resnet18", "conv1"),
        ("alexnet", "conv3"),
        ("googlenet", "inception4"),
        ("vgg11", "conv4"),
    ],
)
def test_layers_after_a_stage_lead_to_the_last(name: str, stage: str) -> None:
    encoder = build_encoder(name, size=64).eval()
    layers = layers_after(encoder, stage)
    assert layers is not None
    with torch.no_grad():
        maps = {key: value.clone() for key, value in encoder.forward_stages(torch.randn(2, 3, 64, 64)).items()}
        torch.testing.assert_close(layers(maps[stage]), maps[encoder.stages[-1]])
    assert layers_after(encoder, encoder.stages[-1]) is None


def test_encoders_of_clips_are_refused() -> None:
    with pytest.raises(ValueError, match="encoder 'r3d_18' takes video, but this probe needs one that takes images"):
        read_stages(build_encoder("r3d_18", size=32))


def test_encoders_without_maps_are_refused_and_sequences_left_out() -> None:
    encoder = OtherKinds().eval()
    assert [(stage.name, stage.channels, stage.stride) for stage in read_stages(encoder).stages] == [("near", 4, 1)]
    encoder.stages = ("far",)
    with pytest.raises(ValueError, match="encoder 'two_stages' has no stage that is a map, which this probe needs"):
        read_stages(encoder)


def test_channels_are_standardised_by_what_they_have_on_images() -> None:
    encoder = TinyEncoder().eval()
    maps = StageMaps(encoder, read_stages(encoder).stages, is_frozen=True, precision="32-true").eval()
    batches = [5 + 3 * torch.randn(4, 3, 32, 32, generator=generator(i)) for i in range(3)]
    maps.calibrate(batches)
    found = [maps(x) for x in batches]
    for name in encoder.stages:
        values = torch.cat([each[name] for each in found]).transpose(0, 1).flatten(1)
        raw = torch.cat([encoder.forward_stages(x)[name] for x in batches]).transpose(0, 1).flatten(1)
        lively = raw.std(1) > 0.1 * raw.std(1).mean()
        assert lively.sum() >= 4
        torch.testing.assert_close(values.mean(1), torch.zeros(len(values)), atol=1e-3, rtol=0)
        torch.testing.assert_close(
            values[lively].std(1, correction=0), torch.ones(int(lively.sum())), atol=1e-2, rtol=0
        )
        standardise = maps.standardise[encoder.stages.index(name)]
        assert isinstance(standardise, Standardise)
        torch.testing.assert_close(standardise.undo(found[0][name]), encoder.forward_stages(batches[0])[name])


def test_norms_of_random_weights_settle_on_the_images() -> None:
    encoder = TinyEncoder().eval()
    x = 5 + 3 * torch.randn(16, 3, 32, 32, generator=generator(0))
    settle_norms(encoder, [x])
    value = encoder.layers[0][:2](x)  # type: ignore[index]
    torch.testing.assert_close(value.mean((0, 2, 3)), torch.zeros(8), atol=1e-3, rtol=0)
    torch.testing.assert_close(value.std((0, 2, 3)), torch.ones(8), atol=1e-2, rtol=0)
    assert not any(module.training for module in encoder.modules())
