"""The way of a camera from above: forwards is up, right is right."""

from __future__ import annotations

import torch

from selftaught.ops.depth.draw_trajectory import draw_trajectory


def test_forwards_is_up_and_right_is_right() -> None:
    ahead = draw_trajectory(torch.tensor([[0.0, 0, 0], [0, 0, 1]]), 21, reach=1.0)
    drawn = (ahead < 1).any(0)
    assert drawn[:10, 10].all()
    assert not drawn[11:].any()
    assert not drawn[:, :10].any()
    right = (draw_trajectory(torch.tensor([[0.0, 0, 0], [0.9, 0, 0]]), 21, reach=1.0) < 1).any(0)
    assert right[10, 10:19].all()
    assert int(right.sum()) < 12


def test_a_camera_that_stands_still_is_a_point() -> None:
    assert int((draw_trajectory(torch.zeros(3, 3), 9, reach=0.0) < 1).any(0).sum()) == 1
