"""Colours of maps: the same value has the same colour in all that are drawn together."""

from __future__ import annotations

import torch
from torchvision.utils import flow_to_image

from selftaught.core.randomness import generator
from selftaught.ops.draw_maps import draw_maps, palette


def test_flow_has_torchvisions_colours_on_one_scale() -> None:
    fast = torch.randn(2, 8, 10, generator=generator("flow"))
    slow = fast / 2
    clip = torch.stack([fast, slow])
    first, second, both = draw_maps([fast, slow, clip], "flow")
    assert torch.allclose(first, flow_to_image(fast).float() / 255, atol=1.01 / 255)
    assert second.mean() > first.mean() + 0.05  # slower is paler
    assert torch.equal(both, torch.stack([first, second]))


def test_no_motion_is_white() -> None:
    (still,) = draw_maps([torch.zeros(2, 4, 4)], "flow")
    assert (still == 1).all()


def test_depth_is_grey_between_the_least_and_the_most_of_all() -> None:
    near = torch.tensor([[1.0, 2.0], [float("nan"), 3.0]])
    first, second = draw_maps([near, torch.full((2, 2), 5.0)], "depth")
    assert first[0].flatten().tolist() == [0, 0.25, 0, 0.5]
    assert torch.equal(first[0], first[2])
    assert (second == 1).all()
    assert torch.equal(draw_maps([torch.full((2, 2), torch.inf)], "depth")[0], torch.zeros(3, 2, 2))


def test_masks_have_the_colours_of_voc_and_probabilities_are_grey() -> None:
    mask = torch.tensor([[0, 1], [2, 255]])
    drawn, grey = draw_maps([mask, mask / 255], "mask")
    assert (drawn * 255).round().long().permute(1, 2, 0).tolist() == [
        [[0, 0, 0], [128, 0, 0]],
        [[0, 128, 0], [255, 255, 255]],
    ]
    assert grey[:, 1, 1].tolist() == [1, 1, 1]
    assert draw_maps([mask.expand(5, 2, 2)], "mask")[0].shape == (5, 3, 2, 2)
    assert palette(16)[15].tolist() == [192, 128, 128]
