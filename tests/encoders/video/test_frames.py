"""Every frame of a clip through an encoder of images."""

from __future__ import annotations

import pytest
import torch

from selftaught.encoders.build import build_encoder
from selftaught.encoders.feature_map import stage_features
from selftaught.encoders.video.frames import features_of_frames, frames_of, last_of_frames, stages_of_frames


@pytest.mark.parametrize("name", ["timm:test_resnet", "timm:test_vit"])
@torch.no_grad()
def test_each_frame_is_seen_alone(name: str) -> None:
    image = build_encoder(name, size=32).eval()
    clips = torch.randn(2, 3, 3, 32, 32)
    assert torch.equal(frames_of(clips)[4], clips[1, :, 1])
    stages, pooled = stages_of_frames(image, clips), features_of_frames(image, clips)
    torch.testing.assert_close(last_of_frames(image, clips), stages[image.stages[-1]])
    for t in range(3):
        torch.testing.assert_close(pooled[:, t], image(clips[:, :, t]))
        for stage, features in stage_features(image, clips[:, :, t]).items():
            torch.testing.assert_close(stages[stage][:, :, t], features)
