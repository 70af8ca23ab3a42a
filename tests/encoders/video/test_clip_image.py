"""The motion of a clip as one image of many channels."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from selftaught.encoders.build import build_encoder
from selftaught.encoders.inputs import see_grey
from selftaught.encoders.video.clip_image import ClipImageEncoder
from selftaught.ops.clip_images import difference_stack, dynamic_image, flow_stack, sum_of_differences


@pytest.mark.parametrize("head", ["flow2", "differences2", "sumdiff", "dynamic"])
@torch.no_grad()
def test_grey_frames_have_no_colour_to_tell(head: str) -> None:
    """The image of grey frames."""
    encoder = build_encoder(f"{head}:grey:timm:test_resnet", size=32).eval()
    plain = build_encoder(f"{head}:timm:test_resnet", size=32).eval()
    plain.load_state_dict(encoder.state_dict())
    clips = torch.randn(2, 3, 4, 32, 32)
    torch.testing.assert_close(encoder(clips), plain(see_grey(clips)))
    assert not torch.allclose(encoder(clips), plain(clips), atol=1e-4)


@pytest.mark.parametrize(
    ("head", "image", "channels"),
    [
        ("flow", lambda clips: flow_stack(clips, 10), 20),
        ("flow2", lambda clips: flow_stack(clips, 2), 4),
        ("differences", lambda clips: difference_stack(clips, 5), 15),
        ("sumdiff", sum_of_differences, 3),
        ("dynamic", dynamic_image, 3),
    ],
)
@torch.no_grad()
def test_the_network_of_images_takes_the_image_of_the_clip(
    head: str, image: Callable[[Tensor], Tensor], channels: int
) -> None:
    encoder = build_encoder(f"{head}:timm:test_resnet", size=32).eval()
    assert isinstance(encoder, ClipImageEncoder)
    assert encoder.image.channels == channels
    clips = torch.randn(2, 3, 4, 32, 32)
    torch.testing.assert_close(encoder(clips), encoder.image(image(clips)))
