from __future__ import annotations

import math

import torch

from selftaught.core.randomness import generator
from selftaught.tasks.parts.gradient_histograms import gradient_histograms


def test_a_histogram_is_the_formula_in_loops() -> None:
    images = torch.rand(2, 3, 16, 16, generator=generator(0))
    found = gradient_histograms(images, cells=2, bins=4)  # one block of 2 x 2 cells
    assert found.shape == (2, 16)
    for image, row in zip(images, found, strict=True):
        grey = (image * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(0).tolist()
        cells = [[0.0] * 4 for _ in range(4)]
        for y in range(16):
            for x in range(16):
                across = grey[y][min(x + 1, 15)] - grey[y][max(x - 1, 0)]
                down = grey[min(y + 1, 15)][x] - grey[max(y - 1, 0)][x]
                place = math.atan2(down, across) % math.pi / math.pi * 4
                low, part = int(place), place - int(place)
                cell = cells[2 * (y // 8) + x // 8]
                cell[low % 4] += math.hypot(across, down) * (1 - part)
                cell[(low + 1) % 4] += math.hypot(across, down) * part
        block = [cells[c][b] for b in range(4) for c in range(4)]
        length = math.hypot(*block)
        block = [min(value / length, 0.2) for value in block]
        length = math.hypot(*block)
        assert torch.allclose(row, torch.tensor([value / length for value in block]), atol=1e-4)


def test_colour_and_contrast_do_not_matter() -> None:
    grey = torch.rand(3, 1, 32, 32, generator=generator(1))
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    plain = gradient_histograms(grey.expand(3, 3, 32, 32))
    assert plain.shape == (3, 4 * 9 * 9)
    red = torch.cat([grey * 0.5 / 0.299, torch.zeros(3, 2, 32, 32)], 1)
    assert torch.allclose((red * weights).sum(1, keepdim=True), grey * 0.5, atol=1e-6)
    assert torch.allclose(gradient_histograms(red), plain, atol=1e-4)
    assert not torch.allclose(gradient_histograms(grey.flip(2).expand(3, 3, 32, 32)), plain, atol=1e-2)
