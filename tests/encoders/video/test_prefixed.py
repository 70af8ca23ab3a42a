"""Encoders of images as encoders of clips, by a prefix: shapes, lengths, what each knows of time, and refusals."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from selftaught.encoders.build import build_encoder
from selftaught.encoders.names import clip_name

NAMES = (
    "mean:timm:test_resnet",
    "lstm:timm:test_resnet",
    "flow:timm:test_resnet",
    "twostream3:timm:test_resnet",
    "differences:timm:test_vit",
    "sumdiff:timm:test_resnet",
    "dynamic:timm:test_resnet",
    "mean:timm:test_vit",
    "lstm:grey:timm:test_resnet",
    "twostream:grey:timm:test_resnet",
    "2ch:mean:timm:test_resnet",
    "2ch:differences3:timm:test_resnet",
)


def moving(count: int = 2, frames: int = 6, channels: int = 3) -> Tensor:
    """Clips of a pattern that moves to the right and gets brighter, normalised."""
    torch.manual_seed(0)
    still = torch.nn.functional.interpolate(torch.randn(count, channels, 8, 8), size=32, mode="bilinear")
    return torch.stack([still.roll(t, -1) + 0.1 * t for t in range(frames)], 2)


@pytest.mark.parametrize("name", NAMES)
def test_stages_and_features_are_as_the_protocol_says(name: str) -> None:
    torch.manual_seed(0)
    encoder = build_encoder(name, size=32).eval()
    assert (encoder.name, encoder.kind) == (name, "video")
    for frames in (1, 2, 7):
        clips = moving(frames=frames, channels=encoder.channels)
        with torch.no_grad():
            stages, pooled = encoder.forward_stages(clips), encoder(clips)
            last = encoder.forward_features(clips)
        assert pooled.shape == (2, encoder.num_features)
        assert tuple(stages) == encoder.stages
        torch.testing.assert_close(stages[encoder.stages[-1]], last)
        for stage, features in stages.items():
            assert features.ndim == {"clip": 5, "sequence": 3}[encoder.stage_kind(stage)]
            assert features.shape[1 if features.ndim == 3 else 2] in ({1} if "mean" not in name else set()) | {frames}


@pytest.mark.parametrize("name", NAMES)
def test_every_weight_learns(name: str) -> None:
    encoder = build_encoder(name, size=32)
    features = encoder(moving(channels=encoder.channels))
    (features * torch.randn_like(features)).sum().backward()
    assert all(p.grad is not None for p in encoder.parameters())


@pytest.mark.parametrize("head", ["mean", "lstm", "flow", "twostream", "differences", "sumdiff", "dynamic"])
def test_all_but_the_mean_know_the_order_of_frames(head: str) -> None:
    torch.manual_seed(0)
    encoder = build_encoder(f"{head}:timm:test_resnet", size=32).train()
    clips = moving()
    with torch.no_grad():
        difference = (encoder(clips) - encoder(clips.flip(2))).abs().max()
    assert bool(difference > 1e-3) == (head != "mean")


@pytest.mark.parametrize(
    "name", ["mean:grey:timm:test_resnet", "twostream2:timm:test_resnet", "2ch:differences3:timm:test_resnet"]
)
def test_the_encoders_inside_have_the_names_that_are_said(name: str) -> None:
    parts = clip_name(name)
    assert parts is not None
    encoder = build_encoder(name, size=32)
    for path, inside in parts.parts.items():
        module, alone = encoder.get_submodule(path), build_encoder(inside, size=32)
        assert module.name == alone.name == inside
        assert {k: v.shape for k, v in module.state_dict().items()} == {
            k: v.shape for k, v in alone.state_dict().items()
        }


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("mean:r3d_18", "mean: goes before the name of an encoder of images, got 'mean:r3d_18'"),
        ("flow:audio_convnet", "flow: goes before the name of an encoder of images"),
        ("mean:lstm:resnet18", "mean: goes before the name of an encoder of images"),
        ("lstm:", "lstm: goes before the name of an encoder of images, got 'lstm:'"),
        ("20ch:flow:resnet18", "flow: computes flow from colour frames, so its clips have 3 channels"),
        ("twostream:20ch:resnet18", "twostream: computes flow from colour frames, so its clips have 3 channels"),
        ("mean:20ch:resnet18", "the number of channels goes first: 20ch:mean:resnet18, got 'mean:20ch:resnet18'"),
        ("flow:sobel:resnet18", "sobel: goes before an encoder that sees colour images, which it does not in 'flow:"),
        ("dynamic:split:resnet18", "split: goes before an encoder that sees colour images, which it does not in 'dyn"),
        ("2ch:mean:sobel:resnet18", "sobel: goes before an encoder that sees colour images"),
        ("grey:mean:resnet18", "grey: goes last, as in mean:grey:resnet18, got 'grey:mean:resnet18'"),
        ("mean:resnet19", "unknown encoder 'resnet19'; did you mean resnet18"),
        ("mean3:resnet18", "unknown encoder 'mean3:resnet18'"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(name: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        build_encoder(name, size=32)
