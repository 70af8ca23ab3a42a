"""J and F of DAVIS against its own definitions as plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from selftaught.core.randomness import numpy_generator
from selftaught.evaluation.metrics.mask_match import boundaries, boundary_accuracy, region_similarity

Mask = NDArray[np.bool_]


def blobs(seed: int, *, height: int = 40, width: int = 60) -> Mask:
    """A few rectangles and discs, some of them at the border."""
    rng = numpy_generator("blobs", seed)
    y, x = np.mgrid[:height, :width]
    mask = np.zeros((height, width), bool)
    for _ in range(3):
        top, left = rng.integers(0, height), rng.integers(0, width)
        mask |= (y - top) ** 2 + (x - left) ** 2 <= rng.integers(9, 120)
        mask[top : top + rng.integers(2, 12), left : left + rng.integers(2, 12)] = True
    return mask


def boundary_by_loops(mask: Mask) -> set[tuple[int, int]]:
    """seg2bmap of the DAVIS toolkit: the last row looks right, the last column down, the last corner nowhere."""
    height, width = mask.shape
    found = set()
    for y in range(height):
        for x in range(width):
            others = []
            if x + 1 < width:
                others.append((y, x + 1))
            if y + 1 < height:
                others.append((y + 1, x))
            if x + 1 < width and y + 1 < height:
                others.append((y + 1, x + 1))
            if any(mask[y, x] != mask[place] for place in others):
                found.add((y, x))
    return found


def f_by_loops(predicted: Mask, truth: Mask) -> float:
    reach = math.ceil(0.008 * math.sqrt(truth.shape[0] ** 2 + truth.shape[1] ** 2))
    found, wanted = boundary_by_loops(predicted), boundary_by_loops(truth)

    def near(place: tuple[int, int], others: set[tuple[int, int]]) -> bool:
        return any((place[0] - y) ** 2 + (place[1] - x) ** 2 <= reach**2 for y, x in others)

    if not found and not wanted:
        precision = recall = 1.0
    elif not found:
        precision, recall = 1.0, 0.0
    elif not wanted:
        precision, recall = 0.0, 1.0
    else:
        precision = sum(near(place, wanted) for place in found) / len(found)
        recall = sum(near(place, found) for place in wanted) / len(wanted)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def pairs() -> list[tuple[Mask, Mask]]:
    shapes = [(blobs(i), blobs(i + 1)) for i in range(3)]
    first = blobs(9)
    empty, full = np.zeros_like(first), np.ones_like(first)
    moved = np.roll(first, 1, axis=1)
    return [*shapes, (first, first), (first, moved), (empty, first), (first, empty), (empty, empty), (full, empty)]


def test_region_and_boundary_equal_loops() -> None:
    first, second = (torch.from_numpy(np.stack(masks)) for masks in zip(*pairs(), strict=True))
    regions = region_similarity(first, second).tolist()
    for (predicted, truth), found in zip(pairs(), regions, strict=True):
        either = int((predicted | truth).sum())
        assert found == pytest.approx(int((predicted & truth).sum()) / either if either else 1.0)
    for (predicted, truth), found in zip(pairs(), boundary_accuracy(first, second).tolist(), strict=True):
        assert found == pytest.approx(f_by_loops(predicted, truth))


def test_boundaries_equal_loops_also_at_the_border() -> None:
    for mask in (*(blobs(i) for i in range(3)), np.ones((5, 7), bool)):
        found = boundaries(torch.from_numpy(mask)[None])[0]
        assert {(y, x) for y, x in found.nonzero().tolist()} == boundary_by_loops(mask)


def test_the_tolerance_is_a_share_of_the_diagonal() -> None:
    square = torch.zeros(1, 300, 400, dtype=torch.bool)
    square[:, 100:200, 100:200] = True
    within, beyond = square.roll(4, 2), square.roll(5, 2)  # 0.8 % of 500 pixels are 4
    assert boundary_accuracy(square, within).item() == 1.0
    assert boundary_accuracy(square, beyond).item() < 1.0
