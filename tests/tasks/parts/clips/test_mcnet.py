"""MCNet goes on from its own frames as from true ones, and its content encoder takes frames or short clips."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.nn import BatchNorm2d

from selftaught.encoders.base import Encoder
from selftaught.tasks.parts.clips.mcnet import MCNet, unpooled

Make = Callable[[], Encoder]


@pytest.mark.parametrize("clip", [1, 2])
def test_the_second_step_is_the_first_after_the_generated_frame(
    clip: int, tiny_encoder: Make, tiny_clip_encoder: Make
) -> None:
    torch.manual_seed(0)
    encoder = (tiny_clip_encoder() if clip > 1 else tiny_encoder()).eval()
    net = MCNet(encoder, 16, clip=clip, width=4).eval()
    past = torch.rand(2, 3, 3, 16, 16)
    with torch.no_grad():
        two = net(encoder, past, 2)
        assert two.shape == (2, 2, 3, 16, 16)
        assert 0 <= float(two.min()) <= float(two.max()) <= 1
        one = net(encoder, torch.cat([past, two[:, :1]], 1), 1)
    torch.testing.assert_close(one[:, 0], two[:, 1], atol=1e-5, rtol=1e-4)


def test_it_sees_motion_and_content(tiny_encoder: Make) -> None:
    """Reversed frames before the last change motion alone; the same differences on another ground, content alone."""
    torch.manual_seed(0)
    encoder = tiny_encoder().eval()
    net = MCNet(encoder, 16, clip=1, width=4).eval()
    past = 0.4 * torch.rand(1, 4, 3, 16, 16)
    with torch.no_grad():
        found = net(encoder, past, 1)
        other_motion = net(encoder, torch.cat([past[:, :3].flip(1), past[:, 3:]], 1), 1)
        other_content = net(encoder, past + 0.3, 1)
    assert not torch.allclose(found, other_motion)
    assert not torch.allclose(found, other_content)


def test_the_statistics_that_are_kept_are_of_true_frames(tiny_encoder: Make) -> None:
    torch.manual_seed(0)
    encoder = tiny_encoder()
    net = MCNet(encoder, 16, clip=1, width=4)
    net(encoder, torch.rand(2, 3, 3, 16, 16), 3)
    norms = [module for module in encoder.modules() if isinstance(module, BatchNorm2d)]
    assert norms
    assert [int(norm.num_batches_tracked or 0) for norm in norms] == [1] * len(norms)


def test_values_are_unpooled_to_the_upper_left() -> None:
    found = unpooled(torch.tensor([[[[1.0, 2.0]]]]))
    assert found.tolist() == [[[[1.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 0.0]]]]
