"""Relative depth: percentiles of crops, both losses against loops, the guard, and learning what is near."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from selftaught.data.batch import Batch
from selftaught.encoders.base import Encoder
from selftaught.tasks.semantic import relative_depth
from selftaught.tasks.semantic.relative_depth import Example, RelativeDepth
from tests.data.computed.going import frames_of, scene_depth, true_flow
from tests.tasks.clips import check_halves, check_run, fit, judge, rng

Config = RelativeDepth.Config
Task = Callable[..., RelativeDepth]


@pytest.fixture
def task(tiny_encoder: Callable[[], Encoder]) -> Task:
    def make(**settings: Any) -> RelativeDepth:
        return RelativeDepth(tiny_encoder(), Config(**{"width": 32, "pairs": 60, **settings}), 32)

    return make


def batch(frames: Tensor, depth: Tensor) -> Batch:
    """Frames (N, 3, H, W) and percentiles (N, H, W), both uint8, as clips of one frame."""
    return Batch(index=torch.arange(len(frames)), inputs={"frame": frames[:, None], "depth": depth[:, None, None]})


def whole_frames(n: int, height: int, width: int, rng: torch.Generator, **settings: Any) -> Tensor:
    return torch.tensor([0.0, 0.0, height, width]).expand(n, 4)


def squares(n: int, seed: int) -> Batch:
    """White squares that are near, and grey ones that are far, anywhere before a dark ground in the middle."""
    frames, depth = torch.full((n, 3, 32, 32), 40, dtype=torch.uint8), torch.full((n, 32, 32), 128, dtype=torch.uint8)
    for k, (y, x) in enumerate(torch.randint(0, 18, (n, 2), generator=rng(seed)).tolist()):
        frames[k, :, y : y + 14, x : x + 14] = 250 if k % 2 else 140
        depth[k, y : y + 14, x : x + 14] = 1 if k % 2 else 255
    return batch(frames, depth)


def test_percentiles_are_those_of_the_crop(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    boxes = torch.tensor([[0.0, 0.0, 32.0, 32.0], [0.0, 16.0, 16.0, -16.0]])
    monkeypatch.setattr(relative_depth, "random_boxes", lambda *args, **settings: boxes)
    depth = (1 + torch.arange(32 * 32).view(32, 32) // 5).byte().expand(2, 32, 32).clone()
    depth[0, :8] = 0
    example = task().pseudo_label(batch(torch.zeros(2, 3, 32, 32, dtype=torch.uint8), depth), rng())
    assert example.percentile.shape == (2, 8, 8)
    assert (example.percentile[0, :2] == -1).all()
    for n in range(2):
        known = example.percentile[n][example.percentile[n] >= 0]
        assert known.min() == 0
        assert known.max() == 1
    # Depth rises from left to right, and from right to left in the mirror image.
    assert (example.percentile[0, 3:].diff(dim=1) > 0).all()
    assert (example.percentile[1].diff(dim=1) < 0).all()
    assert (example.percentile[1].diff(dim=0) > 0).all()


def test_pairs_are_of_known_cells_and_say_which_is_farther(task: Task) -> None:
    depth = torch.randint(0, 256, (6, 32, 32), generator=rng(1)).byte()
    depth[:, :, 16:] = 0
    example = task(same=0.2).pseudo_label(batch(torch.zeros(6, 3, 32, 32, dtype=torch.uint8), depth), rng())
    for n in range(6):
        flat = example.percentile[n].flatten().tolist()
        for (i, j), relation in zip(example.pairs[n].tolist(), example.relation[n].tolist(), strict=True):
            assert flat[i] >= 0
            assert flat[j] >= 0
            apart = flat[i] - flat[j]
            if abs(abs(apart) - 0.2) > 1e-6:
                assert relation == (0 if abs(apart) < 0.2 else math.copysign(1, apart))


def test_frames_with_little_depth_do_not_count(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relative_depth, "random_boxes", whole_frames)
    depth = torch.zeros(3, 32, 32, dtype=torch.uint8)
    depth[1, :8] = 9
    depth[2, :16] = 9
    example = task().pseudo_label(batch(torch.zeros(3, 3, 32, 32, dtype=torch.uint8), depth), rng())
    assert example.counts.tolist() == [False, False, True]


def drawn(n: int = 5) -> Example:
    percentile = torch.rand(n, 8, 8, generator=rng(1))
    percentile[:, 0] = -1
    pairs = torch.randint(8, 64, (n, 60, 2), generator=rng(2))
    apart = percentile.flatten(1).gather(1, pairs[..., 0]) - percentile.flatten(1).gather(1, pairs[..., 1])
    relation = torch.where(apart.abs() > 0.1, apart.sign(), 0.0)
    return Example(torch.zeros(n, 3, 32, 32), percentile, torch.arange(n) != 2, pairs, relation)


@pytest.mark.parametrize("kind", ["bins", "pairs"])
def test_losses_and_accuracies_against_loops(task: Task, kind: str) -> None:
    made, example = task(loss=kind, bins=4), drawn()
    logits = torch.randn(5, 4 if kind == "bins" else 1, 8, 8, generator=rng(3))
    total = 0.0
    sides: dict[int, list[bool]] = {1: [], -1: [], 0: []}
    for n in range(5):
        if n == 2:
            continue
        flat = logits[n].flatten(1)
        values, errors = [], []
        for cell in range(64):
            if kind == "pairs":
                values.append(float(flat[0, cell]))
                continue
            powers = [math.exp(float(one)) for one in flat[:, cell]]
            values.append(sum(power * (k + 0.5) / 4 for k, power in enumerate(powers)) / sum(powers))
            true = float(example.percentile[n].flatten()[cell])
            if true >= 0:
                errors.append(-math.log(powers[min(int(true * 4), 3)] / sum(powers)))
        for (i, j), r in zip(example.pairs[n].tolist(), example.relation[n].tolist(), strict=True):
            apart = values[i] - values[j]
            if kind == "pairs":
                errors.append(apart**2 if r == 0 else math.log(1 + math.exp(-r * apart)))
            if r:
                rows = j // 8 - i // 8
                sides[0 if rows == 0 else 1 if rows * r > 0 else -1].append((apart > 0) == (r > 0))
        total += sum(errors) / len(errors)
    found = {name: float(value) for name, value in made.loss(logits, example).items()}
    assert found["loss"] == pytest.approx(total / 5, rel=1e-4)
    assert found["accuracy"] == pytest.approx(sum(sum(sides[k]) / len(sides[k]) for k in (1, -1)) / 2)
    every = [one for found in sides.values() for one in found]
    assert found["order_accuracy"] == pytest.approx(sum(every) / len(every))
    assert found["order_accuracy_lower"] == pytest.approx((len(sides[1]) + len(sides[0]) / 2) / len(every))


def test_a_batch_in_which_no_frame_counts_has_a_loss_of_0(task: Task) -> None:
    example = drawn()
    example.counts[:] = False
    made = task()
    found = made.loss(made(example).detach(), example)
    assert (float(found["loss"]), float(found["accuracy"])) == (0, 0.5)


def test_guard_who_knows_the_place_alone_is_right_half_of_the_time(task: Task) -> None:
    """Floors, which recede upwards, with boxes anywhere: lower is nearer in most pairs."""
    depth = torch.linspace(255, 1, 32)[:, None].expand(32, 32).repeat(40, 1, 1).byte()
    for k, (y, x) in enumerate(torch.randint(0, 20, (40, 2), generator=rng(5)).tolist()):
        depth[k, y : y + 10, x : x + 10] = 1
    made = task(loss="pairs", degrade=0.0)
    example = made.pseudo_label(batch(torch.zeros(40, 3, 32, 32, dtype=torch.uint8), depth), rng())
    rows = torch.arange(8.0, 0, -1)[:, None].expand(40, 1, 8, 8)
    found = made.loss(rows, example)
    assert float(found["order_accuracy"]) > 0.7
    assert torch.equal(found["order_accuracy"], found["order_accuracy_lower"])
    assert float(found["accuracy"]) == 0.5


def test_two_processes_are_one(task: Task) -> None:
    whole = drawn(6)
    whole.images = torch.randn(6, 3, 32, 32, generator=rng(5))
    rows = (slice(0, 3), slice(3, 6))
    check_halves(task(), whole, [Example(*(value[r] for value in vars(whole).values())) for r in rows])


@pytest.mark.parametrize("kind", ["bins", "pairs"])
def test_it_learns_which_squares_are_near(task: Task, kind: str) -> None:
    made = task(loss=kind, degrade=0.2)
    fit(made, lambda step: squares(32, step), steps=40, lr=5e-3)
    assert judge(made, [squares(32, 900 + k) for k in range(3)]) > 0.8


def test_a_run_computes_its_labels_shows_them_and_is_resumed_exactly(tmp_path: Path, write_video: Any) -> None:
    flow = true_flow(scene_depth(), 83.0, (0.08, 0.0, 0.0), (0.0, 0.02, 0.0))
    frames = frames_of(flow, 6)
    settings = {"width": 8, "pairs": 20, "min_scale": 1.0}
    run = check_run(tmp_path, write_video, "relative_depth", video=lambda seed: frames, task_settings=settings)
    rows = list(csv.DictReader((run / "heldout.csv").read_text().splitlines()))
    assert rows[-1]["frames_used"] == "1.0"
    samples = json.loads((run / "pictures" / "pictures.json").read_text())["samples"]
    assert all((run / "pictures" / sample["prediction"]).is_file() for sample in samples)
