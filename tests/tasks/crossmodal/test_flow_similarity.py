"""Flow similarity: kernels against loops, still frames, the guard, and learning what moves together."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from selftaught.data.batch import Batch
from selftaught.encoders.base import Encoder
from selftaught.tasks.crossmodal.flow_similarity import Example, FlowSimilarity
from tests.tasks.clips import check_halves, check_run, fit, judge, rng

Config = FlowSimilarity.Config
Task = Callable[..., FlowSimilarity]


@pytest.fixture
def task(tiny_encoder: Callable[[], Encoder]) -> Task:
    def make(**settings: Any) -> FlowSimilarity:
        return FlowSimilarity(tiny_encoder(), Config(**settings), 32)

    return make


def squares(n: int, seed: int, *, speed: float = 2) -> Batch:
    """White squares that move anywhere over a dark ground that is still."""
    frames, flow = torch.full((n, 1, 3, 32, 32), 40, dtype=torch.uint8), torch.zeros(n, 1, 2, 32, 32)
    angles = 6.28 * torch.rand(n, generator=rng(seed))
    for k, (y, x) in enumerate(torch.randint(2, 18, (n, 2), generator=rng(seed)).tolist()):
        frames[k, :, :, y : y + 12, x : x + 12] = 230
        motion = speed * torch.stack([angles[k].cos(), angles[k].sin()])
        flow[k, 0, :, y : y + 12, x : x + 12] = motion[:, None, None]
    return Batch(index=torch.arange(n), inputs={"frame": frames, "flow": flow})


def drawn(n: int = 2, pixels: int = 6) -> tuple[Tensor, Example]:
    embedded = torch.nn.functional.normalize(torch.randn(n, 4, 8, 8, generator=rng(1)), dim=1)
    places = torch.stack([torch.randperm(64, generator=rng(k))[:pixels] for k in range(n)])
    return embedded, Example(
        torch.randn(n, 3, 32, 32, generator=rng(2)), torch.randn(n, 2, 8, 8, generator=rng(3)), places
    )


def test_loss_against_loops(task: Task) -> None:
    embedded, example = drawn()
    loss = least = 0.0
    for n in range(2):
        scale = math.sqrt(float(example.flow[n].square().sum(0).mean()))
        places = [(p // 8, p % 8) for p in example.places[n].tolist()]
        for py, px in places:
            others = [place for place in places if place != (py, px)]
            near, alike = [], []
            for y, x in others:
                gap = float((example.flow[n, :, y, x] - example.flow[n, :, py, px]).norm()) / scale
                near.append(math.exp(-(gap**2) / (2 * 0.5**2)))
                alike.append(math.exp(float(embedded[n, :, y, x] @ embedded[n, :, py, px]) / 4))
            for target, found in zip(near, alike, strict=True):
                loss -= target / sum(near) * math.log(found / sum(alike)) / 12
                least -= target / sum(near) * math.log(target / sum(near)) / 12
    found_loss = task().loss(embedded, example)
    assert float(found_loss["loss"]) == pytest.approx(loss, rel=1e-4)
    assert float(found_loss["explained"]) == pytest.approx(1 - (loss - least) / (math.log(5) - least), rel=1e-3)


def test_the_speed_and_the_direction_do_not_matter(task: Task) -> None:
    embedded, example = drawn()
    made = task()
    first = float(made.loss(embedded, example)["loss"])
    turned = torch.stack([-example.flow[:, 1], example.flow[:, 0]], 1)
    second = float(made.loss(embedded, Example(example.images, 3 * turned, example.places))["loss"])
    assert first == pytest.approx(second, rel=1e-5)


def test_frames_in_which_nothing_moves(task: Task) -> None:
    made = task()
    example = made.pseudo_label(squares(2, 1, speed=0), rng())
    assert all(bool(value.isfinite()) for value in made.loss(made(example), example).values())


def test_two_processes_are_one(task: Task) -> None:
    _, whole = drawn(4)
    halves = [Example(whole.images[r], whole.flow[r], whole.places[r]) for r in (slice(0, 2), slice(2, 4))]
    check_halves(task(), whole, halves)


def test_it_learns_what_moves_together(task: Task) -> None:
    made = task(degrade=0.2, temperature=0.2)
    fit(made, lambda step: squares(16, step), steps=25, lr=5e-3)
    assert judge(made, [squares(16, 900)]) > 0.5


def test_a_run_is_resumed_exactly(tmp_path: Path, write_video: Any) -> None:
    check_run(tmp_path, write_video, "flow_similarity")
