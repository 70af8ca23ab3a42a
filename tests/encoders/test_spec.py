"""What a task asks of an encoder, and encoders of other numbers of channels."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from selftaught.encoders.build import build_encoder
from selftaught.encoders.spec import EncoderSpec, kept_spec
from selftaught.encoders.staged import StagedEncoder


@pytest.mark.parametrize(
    ("spec", "architecture"),
    [
        (EncoderSpec("image"), "resnet18"),
        (EncoderSpec("image", sees="grey"), "grey:resnet18"),
        (EncoderSpec("image", tokens=True), "timm:vit_tiny_patch16_224"),
        (EncoderSpec("video", tokens=True), "videovit_tiny"),
        (EncoderSpec("image", channels=20), "20ch:resnet18"),
        (EncoderSpec("video"), "r3d_18"),
        (EncoderSpec("video", channels=2, default="mc3_18"), "2ch:mc3_18"),
        (EncoderSpec("video", sees="grey", default="video_convnet"), "grey:video_convnet"),
        (EncoderSpec("audio"), "audio_convnet"),
    ],
)
def test_the_architecture_where_none_is_given(spec: EncoderSpec, architecture: str) -> None:
    assert spec.architecture == architecture
    assert build_encoder(architecture, size=32).kind == spec.kind


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"kind": "images"}, "unknown kind of EncoderSpec 'images'; did you mean image"),
        ({"sees": "gray"}, "unknown value of sees in EncoderSpec 'gray'; did you mean grey"),
        ({"channels": 0}, "channels of EncoderSpec must be a whole number from 1 on, got 0"),
        ({"kind": "audio", "tokens": True}, "EncoderSpec with tokens must be of kind image or video, got audio"),
        ({"channels": 2, "sees": "grey"}, "must be of kind image or video with 3 channels"),
        ({"kind": "video", "sees": "split"}, "must be of kind image with 3 channels"),
    ],
)
def test_what_cannot_be_is_refused(said: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        EncoderSpec(**{"kind": "image"} | said)


def test_a_kept_module_that_is_none_of_the_encoders_is_a_copy_of_the_first() -> None:
    encoders = {"encoder": EncoderSpec("video"), "flow_encoder": EncoderSpec("image", channels=2)}
    assert kept_spec(encoders, "teacher") == kept_spec(encoders, "encoder") == EncoderSpec("video")
    assert kept_spec(encoders, "flow_encoder").channels == 2


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("20ch:resnet18", (2, 20, 32, 32)),
        ("1ch:alexnet", (2, 1, 32, 32)),
        ("5ch:googlenet", (2, 5, 32, 32)),
        ("2ch:densenet121", (2, 2, 32, 32)),
        ("2ch:r3d_18", (2, 2, 4, 32, 32)),
        ("20ch:timm:test_vit", (2, 20, 32, 32)),
        ("20ch:timm:test_resnet", (2, 20, 32, 32)),
    ],
)
def test_an_encoder_of_other_channels(name: str, shape: tuple[int, ...]) -> None:
    encoder = build_encoder(name, size=32).eval()
    published = build_encoder(name.partition("ch:")[2], size=32)
    assert isinstance(encoder, StagedEncoder)
    assert (encoder.name, encoder.channels) == (name, shape[1])
    assert encoder(torch.zeros(shape)).shape == (2, published.num_features)
    assert list(encoder.stages) == list(published.stages)
    other = {k: v.shape for k, v in published.state_dict().items()}
    changed = [k for k, v in encoder.state_dict().items() if v.shape != other[k]]
    assert len(changed) == 1
    assert encoder.state_dict().keys() == other.keys()


def test_the_first_convolution_keeps_its_scale_and_is_written_for_other_libraries() -> None:
    encoder = build_encoder("20ch:resnet18", size=64)
    assert isinstance(encoder, StagedEncoder)
    conv = encoder.net.get_submodule("conv1")
    assert isinstance(conv, nn.Conv2d)
    # He's, for the number of outputs: their scale does not depend on the inputs.
    assert float(conv.weight.detach().std()) == pytest.approx((2 / (64 * 49)) ** 0.5, rel=0.02)
    assert any(line.startswith("model.conv1 = nn.Conv2d(20, 64, kernel_size=(7, 7)") for line in encoder.origin.changes)


@pytest.mark.parametrize("name", ["2ch:audio_convnet", "2ch:grey:resnet18", "0ch:resnet18", "grey:2ch:resnet18"])
def test_a_number_of_channels_goes_before_one_plain_name(name: str) -> None:
    with pytest.raises(ValueError, match=r"goes before the name|unknown encoder"):
        build_encoder(name, size=32)
