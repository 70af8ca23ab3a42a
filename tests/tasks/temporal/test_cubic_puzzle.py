"""Cubic puzzles: where cuboids come from, orders and rotations, guards, and learning from what crosses the frame."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from selftaught.encoders.base import Encoder
from selftaught.ops.colour import denormalise
from selftaught.tasks.temporal.cubic_puzzle import CROP, ORDERS, CubicPuzzle, Example, turn
from tests.tasks.clip_guards import (
    ForensicEncoder,
    assert_at_chance,
    border_clips,
    codec_clips,
    noise_clips,
    still_clips,
)
from tests.tasks.clips import batch, check_halves, crossings, fit, judge, rng

Config = CubicPuzzle.Config
Task = Callable[..., CubicPuzzle]


@pytest.fixture
def task(tiny_clip_encoder: Callable[[], Encoder]) -> Task:
    def make(**settings: Any) -> CubicPuzzle:
        return CubicPuzzle(tiny_clip_encoder(), Config(**{"frames": 2, "cell": 4, "hidden": 64, **settings}), 12)

    return make


def noise(n: int, side: int = 24) -> Tensor:
    return torch.randint(30, 256, (n, 16, 3, side, side), dtype=torch.uint8, generator=rng(1))


def numbered(n: int) -> Tensor:
    """Clips in which cell (row, column, time) of the frame is grey with value 30 + 12 (4 time + 2 row + column)."""
    time, row, column = (torch.arange(k) for k in (4, 2, 2))
    value = 30 + 12 * (4 * time[:, None, None] + 2 * row[:, None] + column)
    whole = value.repeat_interleave(4, 0).repeat_interleave(16, 1).repeat_interleave(16, 2)
    return whole[None, :, None].expand(n, -1, 3, -1, -1).to(torch.uint8).contiguous()


def test_cuboids_are_of_four_cells_along_space_or_time(task: Task) -> None:
    made = task(least_side=1.0, rotations=1, degrade=0.0)
    example = made.pseudo_label(batch(numbered(40)), rng())
    assert example.cuboids.shape == (160, 3, 2, 12, 12)
    assert example.cuboids.is_contiguous(memory_format=torch.channels_last_3d)
    assert example.kind.bincount().tolist() == [20, 20]
    pixels = denormalise(example.cuboids.transpose(1, 2).flatten(0, 1)) * 255
    found = ((pixels.mean((1, 2, 3)) - 30) / 12).round().int().view(40, 4, 2)
    assert torch.equal(found[:, :, 0], found[:, :, 1])
    seen = set()
    for kind, cells in zip(example.kind.tolist(), found[:, :, 0].tolist(), strict=True):
        first = cells[0]
        if kind == 0:
            mirrored = first % 2
            time = first - mirrored
            assert cells == [time + place for place in ((1, 0, 3, 2) if mirrored else (0, 1, 2, 3))]
            seen.add(("space", mirrored))
        else:
            assert cells == [first, first + 4, first + 8, first + 12]
            seen.add(("time", first))
    assert len(seen) == 6


def test_cuboids_are_of_the_papers_share_of_a_cell_and_start_anywhere_in_it(task: Task) -> None:
    areas = torch.tensor([[4.0, 0.0, 56.0, 80.0]]).repeat(2000, 1)
    boxes = task(least_side=0.7)._boxes(areas, torch.arange(4).expand(2000, -1), rng())
    top, left, height, width = boxes.unbind(2)
    assert torch.equal(height, width.abs())
    left, cell = torch.where(width < 0, left + width, left), height / CROP
    assert float(cell.max()) == pytest.approx(56 / 2, rel=0.01)
    assert 0.45 < float((width < 0).float().mean()) < 0.55
    assert bool((top >= 4 - 1e-3).all() and (top + height <= 60 + 1e-3).all())
    assert bool((left >= -1e-3).all() and (left + height <= 80 + 1e-3).all())
    # A cuboid of the lower row begins where a cell ends, or up to the room in it below.
    fall = (top[:, 2] - top[:, 0]) / cell[:, 0]
    assert float(fall.min()) == pytest.approx(CROP, abs=0.03)
    assert float(fall.max()) == pytest.approx(2 - CROP, abs=0.03)


def test_turns_against_loops() -> None:
    clips = torch.rand(4, 1, 2, 3, 3, generator=rng())
    turned = turn(clips, torch.arange(4))
    for quarters, t, i, j in itertools.product(range(4), range(2), range(3), range(3)):
        row, column = i, j
        for _ in range(quarters):  # a quarter turn counter-clockwise: row r is column -1 - r of before
            row, column = column, 2 - row
        assert turned[quarters, 0, t, i, j] == clips[quarters, 0, t, row, column]


def test_loss_against_loops(task: Task) -> None:
    made = task(orders=3, rotation_weight=0.5).eval()
    example = made.pseudo_label(batch(noise(5)), rng())
    with torch.no_grad():
        features = made.encoder(example.cuboids)
        found = made.loss(made(example), example)
        order_loss = rotation_loss = 0.0
        hits: dict[int, list[bool]] = {0: [], 1: []}
        for n, q in itertools.product(range(5), range(3)):
            order = ORDERS[int(example.order[n, q])]
            hidden = made.layer(torch.cat([features[4 * n + cell] for cell in order])[None])[0]
            kind = int(example.kind[n])
            scores = made.order_head(hidden)[24 * kind : 24 * kind + 24].tolist()
            assert made.rotation_head is not None
            turns = made.rotation_head(hidden).tolist()
            label = int(example.order[n, q])
            order_loss -= scores[label] - math.log(sum(map(math.exp, scores)))
            rotation_loss -= turns[int(example.turns[n])] - math.log(sum(map(math.exp, turns)))
            hits[kind].append(max(range(24), key=scores.__getitem__) == label)
    assert float(found["loss"]) == pytest.approx((order_loss + 0.5 * rotation_loss) / 15, rel=1e-5)
    assert float(found["accuracy"]) == pytest.approx(sum(hits[0] + hits[1]) / 15)
    assert float(found["accuracy_time"]) == pytest.approx(sum(hits[1]) / len(hits[1]))
    assert made.chance(8) == pytest.approx(1 / 24)


def test_two_processes_are_one(task: Task) -> None:
    made = task()
    whole = made.pseudo_label(batch(noise(4)), rng())
    halves = [
        Example(
            whole.cuboids[8 * k : 8 * k + 8], *(x[2 * k : 2 * k + 2] for x in (whole.kind, whole.order, whole.turns))
        )
        for k in range(2)
    ]
    check_halves(made, whole, halves)


def test_a_cuboid_is_of_one_channel_and_its_orders_differ(task: Task) -> None:
    example = task(orders=24).pseudo_label(batch(noise(3)), rng())
    pixels = denormalise(example.cuboids.transpose(1, 2).flatten(0, 1))
    assert torch.allclose(pixels[:, :1].expand_as(pixels), pixels, atol=1e-5)
    assert torch.equal(example.order.sort(1).values, torch.arange(24).expand(3, -1))


def test_it_learns_where_things_are_when(task: Task) -> None:
    videos = crossings(range(0, 120, 2), frames=16)[0]
    made = task(axes="time", rotations=1, orders=8)
    fit(made, lambda step: batch(videos[:48]), steps=30, lr=5e-3)
    assert judge(made, [batch(videos[48:])] * 4) > 0.2


@pytest.mark.parametrize(
    ("axes", "clips_of"),
    [
        ("both", noise_clips),
        ("time", still_clips),
        ("time", border_clips),
        ("time", partial(border_clips, border="edge")),
        ("time", codec_clips),
    ],
    ids=["noise", "still", "grow", "edge", "codec"],
)
def test_guard_puzzles_without_order_stay_at_chance(axes: str, clips_of: Callable[..., Tensor]) -> None:
    config = Config(frames=2, cell=4, hidden=64, axes=axes, orders=8)  # type: ignore[arg-type]
    assert_at_chance(CubicPuzzle(ForensicEncoder(2), config, 12), clips_of, batches=12)


def test_cells_that_leave_no_frame_between_cuboids_are_refused() -> None:
    with pytest.raises(ValueError, match=r"--task\.cell must be above --task\.frames.*got 4 and 4; raise it to 5"):
        Config(frames=4, cell=4)
