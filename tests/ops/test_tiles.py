"""Tiles: placed, cut, standardised, down-sampled and laid out."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from selftaught.ops.crop import crop_resize
from selftaught.ops.tiles import (
    Grid,
    as_pictures,
    check_grid,
    crop_tiles,
    cut_tiles,
    default_tile,
    fit_tile,
    mosaic,
    pixelate,
    place_tiles,
    random_tiles,
    standardise_tiles,
)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("per_channel", [False, True])
def test_cut_against_loops(per_channel: bool) -> None:
    images = torch.rand(3, 3, 20, 24, generator=rng())
    shape = (3, 5, 3) if per_channel else (3, 5)
    top = torch.randint(15, shape, generator=rng(1))
    left = torch.randint(19, shape, generator=rng(2))
    tiles = cut_tiles(images.contiguous(memory_format=torch.channels_last), top, left, 6)
    assert tiles.shape == (3, 5, 3, 6, 6)
    for n in range(3):
        for k in range(5):
            for c in range(3):
                y, x = (int(t[n, k, c]) if per_channel else int(t[n, k]) for t in (top, left))
                assert torch.equal(tiles[n, k, c], images[n, c, y : y + 6, x : x + 6])


GRID = Grid(tile=8, pitch=14, play=3, shift=1)


def test_places_stay_in_the_square_and_use_all_of_their_play() -> None:
    down, right = place_tiles(GRID, torch.full((2000,), 2.0), rng())
    assert down.shape == right.shape == (2000, 9)
    for cell in range(9):
        for found, corner in ((down[:, cell], cell // 3 * 28), (right[:, cell], cell % 3 * 28)):
            moved = found - corner
            assert 0 <= float(moved.min()) < 0.1
            assert 5.9 < float(moved.max()) < 6
    assert float(down.max()) + 2 * (GRID.tile + 2 * GRID.shift) <= 2 * GRID.side == 2 * (2 * 14 + 8 + 3 + 2)
    # Each tile moves by itself.
    assert abs(float(torch.corrcoef(down[:, :2].T)[0, 1])) < 0.1


@pytest.mark.parametrize("scale", [0.3, 0.97, 1.0, 1.6])
def test_where_between_two_pixels_a_tile_begins_says_nothing_of_its_cell(scale: float) -> None:
    """Uniform for each tile, and independent for each two: the beat of the resampling is not one of the image."""
    for found in place_tiles(GRID, torch.full((4000,), scale), rng()):
        turn = torch.polar(torch.ones_like(found), 2 * torch.pi * found)
        assert float(turn.mean(0).abs().max()) < 0.06
        together = (turn.mH @ turn / len(turn)).abs() - torch.eye(9)
        assert float(together.abs().max()) < 0.06


def test_neighbouring_tiles_are_never_nearer_than_the_gap() -> None:
    down, right = (t.unflatten(1, (3, 3)) for t in place_tiles(GRID, torch.ones(3000), rng()))
    side = GRID.tile + 2 * GRID.shift
    nearest = min(float((down[:, 1:] - down[:, :-1]).min()), float((right[:, :, 1:] - right[:, :, :-1]).min())) - side
    assert GRID.gap == 1
    assert 1 <= nearest < 1.5


def test_boxes_are_cut_as_one_by_one_and_mirrored() -> None:
    images = torch.randint(256, (2, 3, 40, 36), generator=rng(), dtype=torch.uint8)
    top, left = torch.tensor([[3.0, 10.5], [0.0, 20.25]]), torch.tensor([[30.0, 20.0], [1.5, 18.0]])
    height, width = torch.tensor([12.0, 18.5]), torch.tensor([-12.0, 18.0])
    found = crop_tiles(images, top, left, height, width, 12)
    for n in range(2):
        for k in range(2):
            box = torch.stack([top[n, k], left[n, k], height[n], width[n]])
            alone = crop_resize(images[n : n + 1].float() / 255, box[None], 12)[0]
            assert torch.allclose(found[n, k], alone, atol=1e-5)
    assert torch.allclose(found[0, 0], images[0, :, 3:15, 18:30].flip(2).float() / 255, atol=1e-5)


def ramps(n: int, side: int) -> torch.Tensor:
    """Images whose value is their column in channel 0 and their row in channel 1."""
    column = torch.arange(side, dtype=torch.uint8).expand(side, side)
    return torch.stack([column, column.T, column]).expand(n, 3, side, side)


def test_random_tiles_are_in_their_cells_of_one_square() -> None:
    tiles = random_tiles(ramps(300, 80), GRID, rng(), min_scale=0.4) * 255
    assert tiles.shape == (300, 9, 3, 10, 10)
    down = tiles[:, :, 1].mean((2, 3)).unflatten(1, (3, 3))
    right = tiles[:, :, 0].mean((2, 3)).unflatten(1, (3, 3))
    assert (down.diff(dim=1) > 0).all()
    mirrored = right[:, 0, 0] > right[:, 0, 2]
    assert 0.4 < float(mirrored.float().mean()) < 0.6
    assert (right.diff(dim=2)[mirrored] < 0).all()
    assert (right.diff(dim=2)[~mirrored] > 0).all()
    # No filter reaches over the border of the image: 2 pixels on each side stay unseen.
    assert 0 < float(tiles[:, :, :2].min()) < 6
    assert 73 < float(tiles[:, :, :2].max()) < 79
    scale = tiles[:, 0, 1].diff(dim=1).mean((1, 2))
    assert float(scale.min()) == pytest.approx(0.4**0.5 * 76 / GRID.side, rel=0.05)
    assert float(scale.max()) == pytest.approx(76 / GRID.side, rel=0.05)


def test_standardised_tiles_have_no_tone_and_flat_ones_stay_flat() -> None:
    tiles = torch.rand(4, 3, 3, 16, 16, generator=rng()) * torch.rand(4, 3, 3, 1, 1, generator=rng(1)) + 0.3
    tiles[0, 0] = 0.5
    found = standardise_tiles(tiles)
    assert float(found.mean((-2, -1)).abs().max()) < 1e-5
    assert torch.allclose(found[1:].std((-2, -1)), torch.ones(3, 3, 3), atol=1e-4)
    assert float(found[0, 0].abs().max()) == 0
    assert 0 <= float(as_pictures(found).min()) < float(as_pictures(found).max()) <= 1


def test_pixelate_takes_detail_away_and_leaves_full_tiles_alone() -> None:
    tiles = torch.rand(6, 3, 16, 16, generator=rng())
    found = pixelate(tiles, torch.tensor([16, 16, 12, 8, 4, 1]))
    assert torch.allclose(found[:2], tiles[:2], atol=1e-6)
    detail = found.diff(dim=3).abs().mean((1, 2, 3)).tolist()
    assert detail[1] > detail[2] > detail[3] > detail[4] > detail[5]
    assert torch.allclose(found[5], tiles[5].mean((1, 2), keepdim=True).expand(3, 16, 16), atol=0.05)
    down = nn.functional.interpolate(tiles[3:4], (8, 8), mode="bilinear", antialias=True)
    theirs = nn.functional.interpolate(down, (16, 16), mode="bilinear", antialias=True)
    assert torch.allclose(found[3:4], theirs, atol=1e-5)


def test_mosaic_lays_tiles_row_by_row() -> None:
    tiles = torch.arange(9.0)[:, None, None, None].expand(9, 3, 4, 4) / 10
    sheet = mosaic(tiles, gap=2)
    assert sheet.shape == (3, 16, 16)
    assert sheet[0, ::6, ::6].flatten().tolist() == pytest.approx([i / 10 for i in range(9)])
    assert float(sheet[:, 4:6].min()) == 1


class Picky(nn.Module):
    """Takes sides that are a multiple of 12, from 24 on."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[-1] % 12 or x.shape[-1] < 24:
            raise ValueError("no")
        return x


def test_tiles_fit_the_encoder_and_the_size() -> None:
    assert [default_tile(size) for size in (32, 64, 128, 224)] == [16, 32, 40, 64]
    fit = {"size": 64, "task": "jigsaw", "flag": "--task.tile"}
    encoder = Picky().train()
    assert fit_tile(encoder, asked=0, default=20, **fit) == 24  # type: ignore[arg-type]
    assert fit_tile(encoder, asked=36, default=20, **fit) == 36  # type: ignore[arg-type]
    assert encoder.training
    with pytest.raises(ValueError, match=r"got 20 x 20 pixels; raise --task.tile to 24"):
        fit_tile(encoder, asked=20, default=20, **fit)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"takes none from 61 x 61 up to 64 x 64 pixels; choose another --encoder"):
        fit_tile(encoder, asked=0, default=61, **fit)  # type: ignore[arg-type]
    grid = Grid(tile=80, pitch=100, play=10)
    check_grid(grid, size=73, task="jigsaw", flag="--task.tile")
    message = (
        "task 'jigsaw' needs images of at least 73 x 73 pixels for 3 x 3 tiles of 80 x 80, got 64 x 64; "
        "lower --task.tile or raise --size"
    )
    with pytest.raises(ValueError, match=message):
        check_grid(grid, size=64, task="jigsaw", flag="--task.tile")
