"""Warps of a batch by matrices, and the matrices themselves."""

from __future__ import annotations

import math

import pytest
import torch

from selftaught.core.randomness import generator, uniform
from selftaught.ops.warp import CORNERS, affine, all_rotations, homography, rotate_quarter, shrink, warp


def test_a_warp_reads_where_the_matrix_says() -> None:
    images = torch.rand(2, 3, 16, 16, generator=generator("images"))
    matrix = torch.stack([torch.eye(3), torch.tensor([[0.5, 0.1, 0.2], [-0.2, 0.6, -0.1], [0.1, 0.05, 1.0]])])
    out = warp(images, matrix, 12)
    for n in range(2):
        for i in range(12):
            for j in range(12):
                place = [2 * (j + 0.5) / 12 - 1, 2 * (i + 0.5) / 12 - 1, 1.0]
                u, v, w = (sum(float(matrix[n, r, c]) * place[c] for c in range(3)) for r in range(3))
                x, y = ((u / w + 1) / 2 * 16 - 0.5), ((v / w + 1) / 2 * 16 - 0.5)
                x0, y0 = math.floor(x), math.floor(y)
                value = 0.0
                for dy in (0, 1):
                    for dx in (0, 1):
                        weight = (1 - abs(x - x0 - dx)) * (1 - abs(y - y0 - dy))
                        row, column = (min(max(k, -1 - k), 31 - k) for k in (y0 + dy, x0 + dx))
                        value += weight * float(images[n, 0, row, column])
                assert float(out[n, 0, i, j]) == pytest.approx(value, abs=1e-4)


def test_a_homography_takes_four_points_to_four_others() -> None:
    square = torch.tensor(CORNERS).expand(3, 4, 2)
    moved = square + uniform((3, 4, 2), -0.3, 0.3, generator(0))
    found = homography(moved, square) @ torch.cat([moved, torch.ones(3, 4, 1)], 2).transpose(1, 2)
    assert torch.allclose((found[:, :2] / found[:, 2:]).transpose(1, 2), square, atol=1e-4)


def test_shrunk_images_keep_their_mean_and_small_ones_their_pixels() -> None:
    images = torch.randint(0, 256, (2, 3, 96, 64), generator=generator(0), dtype=torch.uint8)
    small = shrink(images, 32)
    assert small.shape == (2, 3, 48, 32)
    assert torch.allclose(small.mean((2, 3)), images.float().mean((2, 3)) / 255, atol=0.01)
    assert torch.equal(shrink(images, 60), images.float() / 255)


def test_affine_is_its_three_steps() -> None:
    a, s, t, z = 0.4, 1.2, 0.3, 0.7
    made = affine(torch.tensor([a]), torch.tensor([s]), torch.tensor([t]), torch.tensor([[z, -z]]))[0]
    turn = torch.tensor([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]])
    tilt = torch.tensor([[1, -math.sin(t)], [0, math.cos(t)]])
    assert torch.allclose(made[:2, :2], s * turn @ tilt)
    assert made[:2, 2].tolist() == pytest.approx([z, -z])
    assert made[2].tolist() == [0, 0, 1]


def test_quarter_turns_are_counter_clockwise_and_come_rotation_by_rotation() -> None:
    image = torch.tensor([[1, 2], [3, 4]]).view(1, 1, 2, 2)
    assert rotate_quarter(image, 1).flatten().tolist() == [2, 4, 1, 3]
    assert torch.equal(rotate_quarter(image, -3), rotate_quarter(image, 1))
    pair = torch.cat([image, 10 * image])
    turned = all_rotations(pair, [0, 2])
    assert turned.shape == (4, 1, 2, 2)
    assert turned[:, 0, 0, 0].tolist() == [1, 10, 4, 40]
