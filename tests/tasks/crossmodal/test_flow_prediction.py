"""Flow prediction: flow and classes of crops, codewords, the loss, the guard, and learning what moves where."""

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
from selftaught.tasks.base import Known
from selftaught.tasks.crossmodal.flow_prediction import Example, FlowPrediction
from selftaught.tasks.parts.clips import flow_crops
from tests.tasks.clips import check_halves, check_run, fit, judge, rng

Config = FlowPrediction.Config
Task = Callable[..., FlowPrediction]
SIDE = 3
"""Cells of a crop of 32 pixels, along each side."""


@pytest.fixture
def task(tiny_encoder: Callable[[], Encoder]) -> Task:
    def make(**settings: Any) -> FlowPrediction:
        made = FlowPrediction(tiny_encoder(), Config(**{"width": 32, "words": 5, **settings}), 32)
        steps = torch.tensor([[0.0, 0.0], [2.0, 0.0], [-2.0, 0.0], [0.0, 2.0], [0.0, -2.0]])
        made.codebook.copy_(torch.cat([steps, 100 + torch.zeros(made.config.words - 5, 2)]))
        return made

    return make


def batch(frames: Tensor, flow: Tensor) -> Batch:
    """Frames (N, 3, H, W) uint8 and flow (N, 2, H, W), as clips of one frame."""
    return Batch(index=torch.arange(len(frames)), inputs={"frame": frames[:, None], "flow": flow[:, None]})


def squares(n: int, seed: int, *, places: tuple[int, int] = (2, 20)) -> Batch:
    """White squares that move right by 2 pixels, and grey ones that move down, over a dark ground that is still."""
    frames, flow = torch.full((n, 3, 32, 32), 40, dtype=torch.uint8), torch.zeros(n, 2, 32, 32)
    drawn = torch.randint(*places, (n, 2), generator=rng(seed)).tolist()
    for k, (y, x) in enumerate(drawn):
        frames[k, :, y : y + 10, x : x + 10] = 250 if k % 2 else 140
        flow[k, 1 - k % 2, y : y + 10, x : x + 10] = 2
    return batch(frames, flow)


def test_flow_of_a_crop_is_in_its_pixels_and_mirrored_with_it(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    boxes = torch.tensor([[0.0, 0.0, 32.0, 32.0], [8.0, 24.0, 16.0, -16.0]])
    monkeypatch.setattr(flow_crops, "random_boxes", lambda *args, **settings: boxes)
    flow = torch.tensor([1.5, -0.5])[None, :, None, None].expand(2, 2, 32, 32)
    made = task().pseudo_label(batch(torch.zeros(2, 3, 32, 32, dtype=torch.uint8), flow), rng())
    for n, (right, down, word) in enumerate([(1.5, -0.5, 1), (-3.0, -1.0, 2)]):
        assert torch.allclose(made.flow[n, 0], torch.tensor(right), atol=1e-5)
        assert torch.allclose(made.flow[n, 1], torch.tensor(down), atol=1e-5)
        assert (made.words[n] == word).all()


def drawn(n: int = 4) -> tuple[Tensor, Example]:
    flow = 2 * torch.randn(n, 2, SIDE, SIDE, generator=rng(1))
    words = torch.randint(5, (n, SIDE, SIDE), generator=rng(2))
    return torch.randn(n, 5, SIDE, SIDE, generator=rng(3)), Example(torch.zeros(n, 3, 32, 32), flow, words)


def test_loss_and_metrics_against_loops(task: Task) -> None:
    made = task()
    logits, example = drawn()
    loss = error = length = missed = energy = 0.0
    for n in range(4):
        for y in range(SIDE):
            for x in range(SIDE):
                powers = [math.exp(float(logits[n, k, y, x])) for k in range(5)]
                chances = [power / sum(powers) for power in powers]
                loss -= math.log(chances[int(example.words[n, y, x])])
                mean = [sum(p * float(word[c]) for p, word in zip(chances, made.codebook, strict=True)) for c in (0, 1)]
                true = example.flow[n, :, y, x].tolist()
                error += math.dist(mean, true)
                length += math.hypot(*true)
                missed += math.dist(mean, true) ** 2
                energy += math.hypot(*true) ** 2
    found = {name: float(value) for name, value in made.loss(logits, example).items()}
    cells = 4 * SIDE * SIDE
    assert found["loss"] == pytest.approx(loss / cells, rel=1e-5)
    assert found["end_point_error"] == pytest.approx(error / cells, rel=1e-5)
    assert found["end_point_error_of_no_motion"] == pytest.approx(length / cells, rel=1e-5)
    assert found["explained"] == pytest.approx(1 - missed / energy, rel=1e-4)


def test_codewords_are_the_means_of_the_flow_there_is_and_mirrored(task: Task) -> None:
    made = task(words=8)
    flow = torch.zeros(30, 2, SIDE * SIDE)
    flow[:, :, 3:6] = torch.tensor([3.0, 1.0])[:, None]
    flow[:, :, 6:] = torch.tensor([0.0, -2.0])[:, None]
    flow = flow + 0.01 * torch.randn(flow.shape, generator=rng())
    known = Known(index=torch.arange(30), features=flow.flatten(1), labels=None)
    found = made.before_epoch(known, 30, rng())
    for word in ((0.0, 0.0), (3.0, 1.0), (-3.0, 1.0), (0.0, -2.0)):
        assert float((made.codebook - torch.tensor(word)).norm(dim=1).min()) < 0.02
    assert (made.codebook.norm(dim=1).diff() >= 0).all()
    assert found.scalars["codebook_error"] < 0.03
    bias = made.decoder[-1].bias
    assert isinstance(bias, Tensor)
    near_still = made.codebook.norm(dim=1) < 0.1
    assert float(bias.detach().exp().sum()) == pytest.approx(1, rel=1e-4)
    assert float(bias.detach()[near_still].exp().sum()) == pytest.approx(3 / SIDE**2, abs=0.02)


def test_codewords_of_videos_in_which_nothing_moves(task: Task) -> None:
    made = task(words=40)
    known = Known(index=torch.arange(1), features=torch.zeros(1, 2 * SIDE * SIDE), labels=None)
    assert made.before_epoch(known, 1, rng()).scalars == {"codebook_error": 0.0, "fastest_word": 0.0}
    still = batch(torch.zeros(2, 3, 32, 32, dtype=torch.uint8), torch.zeros(2, 2, 32, 32))
    example = made.pseudo_label(still, rng())
    assert all(value.isfinite() for value in made.loss(made(example), example).values())


def test_two_processes_are_one(task: Task) -> None:
    _, whole = drawn(6)
    whole.images = torch.randn(6, 3, 32, 32, generator=rng(5))
    rows = (slice(0, 3), slice(3, 6))
    check_halves(task(), whole, [Example(whole.images[r], whole.flow[r], whole.words[r]) for r in rows])


def share_of_mean(example: Example) -> float:
    """Explained part of the mean flow of half of the crops as the prediction for the other half."""
    known, judged = example.flow[::2].mean(0), example.flow[1::2]
    return float(1 - (known - judged).square().sum() / judged.square().sum())


def test_guard_the_place_says_less(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """Things in the middle of every frame that all move to the right."""
    flow = torch.zeros(400, 2, 32, 32)
    for n, (y, x) in enumerate(torch.randint(10, 14, (400, 2), generator=rng(6)).tolist()):
        flow[n, 0, y : y + 10, x : x + 10] = 2
    given = batch(torch.zeros(400, 3, 32, 32, dtype=torch.uint8), flow)
    guarded = share_of_mean(task(degrade=0).pseudo_label(given, rng()))
    whole = torch.tensor([0.0, 0.0, 32.0, 32.0]).expand(400, 4)
    monkeypatch.setattr(flow_crops, "random_boxes", lambda *args, **settings: whole)
    bare = share_of_mean(task(degrade=0).pseudo_label(given, rng()))
    assert bare > 0.8
    assert guarded < 0.1


def test_it_learns_which_square_moves_where(task: Task) -> None:
    made = task(degrade=0.2)
    # Mirrored squares move to the left as often as to the right: only downward motion can be known.
    fit(made, lambda step: squares(64, step), steps=60, lr=5e-3)
    assert judge(made, [squares(64, 900 + k) for k in range(4)]) > 0.25


def test_a_run_is_resumed_exactly(tmp_path: Path, write_video: Any) -> None:
    check_run(tmp_path, write_video, "flow_prediction", task_settings={"words": 6})
