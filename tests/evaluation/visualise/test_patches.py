from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from selftaught.core.randomness import generator
from selftaught.evaluation.visualise.patches import choose_channels, cut, find_peaks, peaks_of, strongest
from selftaught.evaluation.visualise.receptive_field import receptive_fields
from selftaught.ops.crop import centre_view
from tests.evaluation.visualise.made import SmallEncoder, random_pictures


def test_strongest_equals_loops() -> None:
    maps = torch.randn(9, 4, 3, 5, generator=generator("patches")).relu()
    maps[3:7, 2] = 0
    peaks = peaks_of(maps)
    for channel in range(4):
        expected = []
        for n in range(9):
            cells = [(maps[n, channel, r, c].item(), r, c) for r in range(3) for c in range(5)]
            value, row, column = max(cells)
            if value > 0:
                expected.append((value, n, row, column))
        expected = sorted(expected, reverse=True)[:6]
        found = [(f.activation, f.picture, f.row, f.column) for f in strongest(peaks, channel, 6)]
        assert found == expected
    assert len(strongest(peaks, 2, 6)) == 5
    assert torch.allclose(peaks.means, maps.mean((2, 3)), atol=1e-6)


def test_batches_are_one_after_the_other() -> None:
    encoder = SmallEncoder().eval()
    views = torch.randn(7, 3, 16, 16, generator=generator("patches"))
    whole = find_peaks(encoder, [views], ["conv1", "conv2"])
    parts = find_peaks(encoder, views.split(3), ["conv1", "conv2"])
    for stage in whole:
        assert torch.equal(whole[stage].values, parts[stage].values)
        assert torch.equal(whole[stage].positions, parts[stage].positions)


def test_the_patch_holds_what_excites_the_channel() -> None:
    """A channel that sees red finds the one red spot, in its image and at its place."""
    encoder = SmallEncoder().eval()
    first = encoder.conv1[0]
    assert isinstance(first, nn.Conv2d)
    with torch.no_grad():
        first.weight[0].zero_()
        first.weight[0, :, 1, 1] = torch.tensor([1.0, -1.0, -1.0])
    pixels = random_pictures(6, 16) // 4
    pixels[4, 9, 13] = (255, 0, 0)
    views = centre_view(torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2), 16)
    best = strongest(find_peaks(encoder, [views], ["conv1"])["conv1"], 0, 3)[0]
    assert (best.picture, best.row, best.column) == (4, 9, 13)
    box = receptive_fields(encoder, "conv1", [9, 13], size=16).box(best.row, best.column)
    assert box[0] <= 9 < box[2]
    assert box[1] <= 13 < box[3]


def test_channels_that_never_change_are_not_drawn() -> None:
    maps = torch.randn(5, 20, 2, 2, generator=generator("patches"))
    maps[:, ::2] = 0.5
    chosen = choose_channels(peaks_of(maps), 6, generator("draw"))
    assert len(chosen) == 6
    assert all(channel % 2 for channel in chosen)
    assert chosen == choose_channels(peaks_of(maps), 6, generator("draw"))
    assert choose_channels(peaks_of(maps), 99, generator("draw")) == list(range(1, 20, 2))


def test_a_box_at_the_border_is_filled_with_grey() -> None:
    picture = torch.zeros(3, 10, 10)
    tile = cut(picture, (0, 2, 4, 10), 8)
    assert tile.shape == (3, 8, 8)
    assert tile.sum().item() == pytest.approx(0.5 * 3 * 4 * 8)
    assert (tile[:, 2:6] == 0).all()
