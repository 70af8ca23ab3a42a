"""C3D: as published, for clips of any size."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from selftaught.encoders.build import build_encoder
from selftaught.encoders.video.c3d import C3D
from selftaught.encoders.weights.load import load_weights, network_of

LAYERS = ("conv1", "conv2", "conv3a", "conv3b", "conv4a", "conv4b", "conv5a", "conv5b")


def test_it_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        count = sum(p.numel() for p in C3D().parameters())
    assert abs(count / 27.7e6 - 1) < 0.01


def published(tmp_path: Path) -> Path:
    """A file of the layout of the weights of Sports-1M, with what this network leaves out."""
    torch.manual_seed(0)
    weights = C3D().state_dict()
    classifier = {f"{layer}.{part}": torch.zeros(3) for layer in ("fc6", "fc7", "fc8") for part in ("weight", "bias")}
    torch.save(weights | classifier, tmp_path / "c3d.pth")
    assert list(weights) == [f"{layer}.{part}" for layer in LAYERS for part in ("weight", "bias")]
    return tmp_path / "c3d.pth"


@torch.no_grad()
def test_published_weights_give_the_features_of_the_paper(tmp_path: Path) -> None:
    encoder = build_encoder("c3d", size=48).eval()
    load_weights(encoder, published(tmp_path))
    weights = network_of(encoder)[0].state_dict()
    x = clips = torch.randn(1, 3, 8, 48, 48)
    maps = {}
    for layer in LAYERS:
        x = maps[layer] = F.relu(F.conv3d(x, weights[f"{layer}.weight"], weights[f"{layer}.bias"], padding=1))
        if layer in ("conv1", "conv2", "conv3b", "conv4b"):
            x = F.max_pool3d(x, (1, 2, 2) if layer == "conv1" else 2)
    stages = encoder.forward_stages(clips)
    for stage, layer in zip(encoder.stages, ("conv1", "conv2", "conv3b", "conv4b", "conv5b"), strict=True):
        torch.testing.assert_close(stages[stage], maps[layer])
    torch.testing.assert_close(encoder(clips), maps["conv5b"].mean((2, 3, 4)))


@pytest.mark.parametrize(("stem", "frames", "side"), [("standard", 1, 1), ("small", 3, 2)])
@torch.no_grad()
def test_it_takes_clips_of_few_frames_and_pixels(stem: str, frames: int, side: int) -> None:
    encoder = build_encoder("2ch:c3d", size=16, stem=stem).eval()  # type: ignore[arg-type]
    clips = torch.randn(2, 2, frames, 16, 16)
    assert encoder(clips).shape == (2, encoder.num_features)
    assert encoder.forward_features(clips).shape == (2, 512, 1, side, side)
