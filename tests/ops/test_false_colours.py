"""Images of many channels in colours that people can see."""

from __future__ import annotations

import torch

from selftaught.ops.false_colours import in_colours


def test_colours_and_grey_stay_as_they_are() -> None:
    colours = torch.rand(2, 3, 4, 5)
    assert in_colours(colours) is colours
    grey = torch.rand(1, 4, 5)
    assert torch.equal(in_colours(grey), grey.expand(3, -1, -1))


def test_every_channel_has_a_hue_and_all_together_are_white() -> None:
    images = torch.zeros(5, 1, 6)
    images[torch.arange(5), 0, torch.arange(5)] = 1
    images[:, 0, 5] = 1
    shown = in_colours(images)
    assert shown.shape == (3, 1, 6)
    assert torch.allclose(shown[:, 0, 5], torch.ones(3))
    assert len({tuple(shown[:, 0, c].tolist()) for c in range(5)}) == 5
    assert shown[:, 0, 0].argmax() == 0  # the first is red
    assert in_colours(images[None].expand(2, -1, -1, -1)).shape == (2, 3, 1, 6)
