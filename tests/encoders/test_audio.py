"""The sound encoder: stages, any length, one vector."""

from __future__ import annotations

import pytest
import torch

from selftaught.encoders.audio import build_audio_encoder
from selftaught.encoders.build import build_encoder
from selftaught.encoders.names import encoder_names


def test_stages_are_those_the_list_names() -> None:
    encoder = build_encoder("audio_convnet", size=96)
    (info,) = [info for info in encoder_names() if info.name == "audio_convnet"]
    assert encoder.kind == info.kind == "audio"
    assert encoder.stages == info.stages == ("conv1", "conv2", "conv3", "conv4")
    features = encoder.forward_stages(torch.randn(2, 1, 64, 100))
    assert {stage: tuple(x.shape[1:]) for stage, x in features.items()} == {
        "conv1": (64, 32, 50),
        "conv2": (128, 16, 25),
        "conv3": (256, 8, 12),
        "conv4": (512, 4, 6),
    }


def test_pooled_features_are_the_maximum_of_the_last_stage() -> None:
    encoder = build_audio_encoder().eval()
    x = torch.randn(2, 1, 64, 100)
    last = encoder.forward_features(x)
    assert torch.equal(last, encoder.forward_stages(x)["conv4"])
    assert torch.equal(encoder(x), last.flatten(2).max(2).values)
    assert encoder(x).shape == (2, encoder.num_features)


def test_any_length_gives_one_vector_and_too_little_is_refused() -> None:
    encoder = build_audio_encoder().eval()
    assert encoder(torch.randn(1, 1, 64, 217)).shape == (1, 512)
    with pytest.raises(ValueError, match="at least 16 mels and 16 time steps"):
        encoder(torch.randn(1, 1, 64, 9))
    with pytest.raises(ValueError, match="unknown encoder for sound 'audio_convnett'; did you mean audio_convnet"):
        build_audio_encoder("audio_convnett")
