from __future__ import annotations

import pytest
import torch

from selftaught.core.randomness import generator
from selftaught.ops.masks import centre_square, mean_outside, random_blocks, random_regions, without_border


def test_the_central_square_has_half_the_side() -> None:
    mask = centre_square(2, 32)
    for y in range(32):
        for x in range(32):
            assert bool(mask[1, 0, y, x]) == (8 <= y < 24 and 8 <= x < 24)


@pytest.mark.parametrize("size", [32, 75])
def test_blocks_and_regions_cover_about_a_quarter_and_come_from_the_generator(size: int) -> None:
    for draw in (random_blocks, random_regions):
        mask = draw(200, size, generator(0))
        assert mask.shape == (200, 1, size, size)
        area = mask.float().mean((1, 2, 3))
        assert 0.2 < float(area.mean()) < 0.3
        assert 0.1 < float(area.min()) <= float(area.max()) < 0.5
        assert torch.equal(mask, draw(200, size, generator(0)))
        assert not torch.equal(mask, draw(200, size, generator(1)))
        assert not torch.equal(mask[0], mask[1])


def test_a_block_is_a_rectangle_inside_the_image() -> None:
    for mask in random_blocks(50, 32, generator(0), count=1)[:, 0]:
        rows, columns = mask.any(1), mask.any(0)
        assert torch.equal(mask, rows[:, None] & columns[None, :])
        for line in (rows, columns):
            assert int(line.int().diff().abs().sum()) + int(line[0]) + int(line[-1]) == 2  # one piece
            assert 4 <= int(line.sum()) <= 12


def test_regions_are_smooth() -> None:
    """Few neighbours differ; in a mask of independent pixels three of eight would."""
    mask = random_regions(50, 64, generator(0)).float()
    assert float(mask.diff(dim=3).abs().mean()) < 0.06


def test_a_border_is_what_is_near_the_rest_but_not_the_images_edge() -> None:
    mask = random_blocks(4, 24, generator(3))
    inner = without_border(mask, 2)
    for n in range(4):
        for y in range(24):
            for x in range(24):
                near = mask[n, 0, max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
                assert bool(inner[n, 0, y, x]) == bool(near.all())
    assert torch.equal(without_border(mask, 0), mask)
    assert bool(without_border(torch.ones(1, 1, 8, 8, dtype=torch.bool), 3).all())


def test_the_mean_outside_reads_nothing_inside() -> None:
    images, mask = torch.rand(3, 3, 16, 16, generator=generator("x")), random_regions(3, 16, generator(0))
    mean = mean_outside(images, mask)
    for n in range(3):
        for c in range(3):
            assert float(mean[n, c]) == pytest.approx(float(images[n, c][~mask[n, 0]].mean()), rel=1e-5)
    assert torch.equal(mean, mean_outside(images.masked_fill(mask, float("nan")), mask))
