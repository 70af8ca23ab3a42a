"""One frame, and stacked flow."""

from __future__ import annotations

import torch

from selftaught.encoders.build import build_encoder
from selftaught.encoders.video.two_stream import TwoStreamEncoder


@torch.no_grad()
def test_features_are_those_of_the_middle_frame_beside_those_of_the_flow() -> None:
    encoder = build_encoder("twostream:timm:test_resnet", size=32).eval()
    assert isinstance(encoder, TwoStreamEncoder)
    clips = torch.randn(2, 3, 5, 32, 32)
    image, flow = encoder.image(clips[:, :, 2]), encoder.flow(clips)
    torch.testing.assert_close(encoder(clips), torch.cat([image, flow], 1))
    stages = encoder.forward_stages(clips)
    torch.testing.assert_close(stages["fused"].mean((2, 3, 4)).shape, encoder(clips).shape)
    torch.testing.assert_close(stages["image_layer1"][:, :, 0], encoder.image.forward_stages(clips[:, :, 2])["layer1"])
