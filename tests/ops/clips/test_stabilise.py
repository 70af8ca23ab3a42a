"""Movement of the camera, measured and followed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from selftaught.core.randomness import generator
from selftaught.ops.clips.stabilise import camera_shifts, stabilised_crop

HEIGHT, WIDTH = 60, 80


def scene(n: int, side: int = 120) -> Tensor:
    """Random images (N, 3, side, side) in [0, 255] with large and small things."""
    found = torch.zeros(n, 3, side, side)
    for cells in (8, 30, 60):
        coarse = torch.rand(n, 3, cells, cells, generator=generator("scene", cells))
        found += torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic").clamp(0, 1)
    return 85 * found


def panned(moves: Tensor, *, square: bool = False) -> Tensor:
    """Clips (N, T, 3, H, W) uint8 of scenes that move by whole pixels (N, T, 2); perhaps a square crosses them."""
    views = scene(len(moves))
    clips = torch.stack(
        [
            torch.stack([view[:, 30 - y : 30 - y + HEIGHT, 20 - x : 20 - x + WIDTH] for y, x in path.tolist()])
            for view, path in zip(views, moves, strict=True)
        ]
    )
    if square:
        for t in range(moves.shape[1]):
            clips[:, t, :, 20:34, 6 + 6 * t : 20 + 6 * t] = 255
    return clips.round().to(torch.uint8)


MOVES = torch.tensor([[[0, 0], [2, -3], [0, 0], [-4, 5], [1, 1]], [[3, 0], [0, 6], [0, 0], [5, -7], [-1, 2]]])


@pytest.mark.parametrize("square", [False, True])
def test_shifts_are_those_of_the_scene(square: bool) -> None:
    found = camera_shifts(panned(MOVES, square=square))
    assert torch.allclose(found, (MOVES - MOVES[:, 2:3]).float(), atol=0.35)


def test_half_pixels_are_found() -> None:
    """Of frames twice as large that are averaged in pairs."""
    views = scene(3, side=160)
    large = torch.stack([views[:, :, 20:140, 20 - x : 140 - x] for x in (0, 1, 0, 3, 5)], 1)
    small = torch.nn.functional.avg_pool2d(large.flatten(0, 1), 2).unflatten(0, (3, 5))
    found = camera_shifts(small.round().to(torch.uint8))
    assert torch.allclose(found[:, :, 1], torch.tensor([0, 0.5, 0, 1.5, 2.5]).expand(3, 5), atol=0.25)


def test_frames_that_show_other_things_are_left_alone() -> None:
    noise = torch.randint(0, 256, (2, 4, 3, 64, 64), dtype=torch.uint8, generator=generator("noise"))
    found = camera_shifts(noise)
    assert found.abs().max() < 1e-3
    assert (camera_shifts(torch.zeros(1, 3, 3, 40, 40, dtype=torch.uint8)) == 0).all()


def test_a_window_follows_the_scene_inside_the_frame() -> None:
    clips = panned(MOVES)
    areas = torch.tensor([[0.0, 0, HEIGHT, WIDTH]]).expand(2, 4)
    still = stabilised_crop(
        clips, 32, generator("crop"), areas=areas, shifts=(MOVES - MOVES[:, 2:3]).float(), least_side=0.6
    )
    assert still.shape == (2, 5, 3, 32, 32)
    assert torch.allclose(still, still[:, :1].expand_as(still), atol=0.02)
    loose = stabilised_crop(clips, 32, generator("crop"), areas=areas, shifts=torch.zeros(2, 5, 2), least_side=0.6)
    assert (loose - loose[:, :1]).abs().mean() > 0.02


def test_a_window_stays_in_its_area_in_every_frame() -> None:
    """White where it may be cut, black around it: no pixel is black, whatever the filter takes from beyond its edge."""
    clips = torch.zeros(400, 3, 3, 40, 60, dtype=torch.uint8)
    clips[:, :, :, 5:35, 10:50] = 255
    areas = torch.tensor([[5.0, 10.0, 30.0, 40.0]]).expand(400, 4)
    shifts = (torch.rand(400, 3, 2, generator=generator("shifts")) * 2 - 1) * torch.tensor([4.0, 6.0])
    seen = stabilised_crop(clips, 16, generator("area"), areas=areas, shifts=shifts, least_side=0.5)
    assert seen.min() > 0.8
