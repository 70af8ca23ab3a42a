"""Flow that is cut with its frame, stacked, or played backwards."""

from __future__ import annotations

import pytest
import torch

from selftaught.ops.clip_images import FLOW_BOUND, FLOW_UNIT
from selftaught.ops.colour import denormalise
from selftaught.tasks.parts.clips.flow_crops import crop_with_flow, flow_stacks, played_backwards
from tests.tasks.clips import rng


def test_frame_and_flow_stay_together() -> None:
    """A bright half that moves: wherever the crop is bright, its flow is that of the half, mirrored where it is."""
    frames, flow = torch.full((20, 1, 3, 32, 32), 20, dtype=torch.uint8), torch.zeros(20, 1, 2, 32, 32)
    frames[..., 12:] = 230
    flow[..., 0, :, 12:] = 3
    images, cut = crop_with_flow(frames, flow, 16, rng(), side=16, min_scale=0.5, degrade=0.0)
    bright = denormalise(images).mean(1)
    inside, outside = bright > 0.899, bright < 0.1
    assert (cut[:, 0].abs()[outside] < 0.3).all()  # an eighth of what moves, where pixels are of both
    signs = cut[:, 0].sum((1, 2)).sign()
    assert set(signs.tolist()) == {-1, 1}
    for n in range(20):
        speeds = (signs[n] * cut[n, 0])[inside[n]]
        assert float(speeds.max() - speeds.min()) < 1e-3
        assert 1.5 - 1e-3 <= float(speeds[0]) <= 1.5 / 0.5**0.5 + 1e-3  # 16 of 32 pixels, and of as few as 22.6


def test_a_stack_has_no_mean_and_is_bounded() -> None:
    flow = torch.zeros(1, 2, 2, 8, 8)
    flow[0, 0, 0, :4], flow[0, 1, 1] = 1000, 0.25
    box = torch.tensor([[0.0, 0.0, 8.0, 8.0]])
    stack = flow_stacks(flow, box, 8, frame=(8, 8))
    assert stack.shape == (1, 4, 8, 8)
    assert float(stack[0, 0, 0, 0]) == pytest.approx(FLOW_UNIT / 2, rel=1e-4)  # bound 1, mean 1/2
    assert float(stack[0, 3].abs().max()) < 1e-5
    flow[0, 0, 0, :4] = 0.1
    small = flow_stacks(flow, box, 8, frame=(8, 8))
    assert float(small[0, 0, 0, 0]) == pytest.approx(FLOW_UNIT * 0.1 / (FLOW_BOUND * 8) / 2, rel=1e-3)


def test_backwards_is_the_opposite_motion_in_the_opposite_order() -> None:
    flow = torch.arange(12.0).view(2, 3, 2, 1, 1)
    found = played_backwards(flow, torch.tensor([False, True]))
    assert torch.equal(found[0], flow[0])
    assert found[1].flatten().tolist() == [-10, -11, -8, -9, -6, -7]
