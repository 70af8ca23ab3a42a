"""Another way to see in front of the same weights."""

from __future__ import annotations

import pytest
import torch

from selftaught.core.randomness import generator
from selftaught.encoders.build import build_encoder
from selftaught.encoders.inputs import see_grey
from selftaught.encoders.video.seeing import seeing


@pytest.mark.parametrize(
    "name",
    [
        "timm:test_resnet",
        "video_convnet",
        "mean:timm:test_resnet",
        "lstm:timm:test_resnet",
        "differences2:timm:test_resnet",
    ],
)
def test_the_weights_are_shared_and_the_encoder_stays_as_it_is(name: str) -> None:
    encoder = build_encoder(name, size=32).eval()
    other = seeing(encoder, "grey")
    assert other is not None
    assert all(a is b for a, b in zip(encoder.parameters(), other.parameters(), strict=True))
    x = torch.randn(2, 3, *((4,) if encoder.kind == "video" else ()), 32, 32, generator=generator("x"))
    with torch.no_grad():
        seen, grey, colour = other(x), encoder(see_grey(x)), encoder(x)
    assert torch.allclose(seen, grey, atol=1e-5)
    assert not torch.allclose(seen, colour, atol=1e-3)


def test_what_sees_in_a_way_of_its_own_keeps_it() -> None:
    mean = build_encoder("mean:sobel:timm:test_resnet", size=32)
    other = seeing(mean, "grey")
    assert other is not None
    assert other.get_submodule("image") is mean.get_submodule("image")
    for name in ("grey:timm:test_resnet", "split:resnet18", "audio_convnet"):
        assert seeing(build_encoder(name, size=32), "grey") is None
