"""Egomotion: the motion between two poses, bins of equal shares, guards, and learning from what crosses the frame."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from selftaught.data.batch import Batch
from selftaught.encoders.base import Encoder
from selftaught.tasks.crossmodal.egomotion import REMEMBERED, Egomotion, Example
from tests.tasks.clip_guards import still_clips
from tests.tasks.clips import fit, judge, rng
from tests.tasks.walks import poses, walks, with_poses

Config = Egomotion.Config
Task = Callable[..., Egomotion]


@pytest.fixture
def task(tiny_encoder: Callable[[], Encoder]) -> Task:
    def make(**settings: Any) -> Egomotion:
        return Egomotion(tiny_encoder(), Config(**{"bins": 4, "gap": 3, **settings}), 16)

    return make


def test_bins_hold_equal_shares_and_the_oldest_motions_are_forgotten(task: Task) -> None:
    made = task(axes="all").train()
    motions = torch.randn(6000, 6, generator=rng()) * torch.tensor([1.0, 10, 100, 0.1, 1, 1])
    for part in motions.split(100):
        made.remember(part)
    assert torch.equal(made.queue, motions[-REMEMBERED:])
    for axis in range(6):
        share = torch.bincount(made.bins_of(motions)[:, axis], minlength=4) / len(motions)
        assert float((share - 0.25).abs().max()) < 0.03
    ordered = motions[:, 0].argsort()
    assert (made.bins_of(motions)[ordered, 0].diff() >= 0).all()


def test_a_mirror_image_has_the_mirrored_motion_and_the_loss_is_that_of_loops(task: Task) -> None:
    made = task(axes="all").eval()
    pose = torch.eye(4).repeat(40, 4, 1, 1)
    pose[:, :, :3, 3] = torch.arange(4)[:, None] * torch.tensor([1.0, 2.0, 3.0])
    example = made.pseudo_label(with_poses(still_clips(40, frames=4, side=24), pose), rng())
    x, y, z = example.motion[:, :3].T
    assert torch.equal(1.5 * y, z)
    assert torch.equal(2 * x.abs(), y.abs())
    assert 10 < int((x * y < 0).sum()) < 30  # mirrored
    with torch.no_grad():
        logits = made(example)
        found = made.loss(logits, example)
    total = hits = 0.0
    for n in range(40):
        for axis in range(6):
            scores, label = logits[n, axis].tolist(), int(example.label[n, axis])
            total -= scores[label] - math.log(sum(math.exp(score) for score in scores))
            hits += max(range(4), key=scores.__getitem__) == label
    assert float(found["loss"]) == pytest.approx(total / 240, rel=1e-4)
    assert float(found["accuracy"]) == pytest.approx(hits / 240, rel=1e-4)


def test_always_guessing_no_motion_is_scored_beside(task: Task) -> None:
    made = task().eval()
    made.remember(torch.linspace(-3, 5, REMEMBERED)[:, None].expand(-1, 3))  # bins end at -1, 1 and 3
    motion = torch.tensor([[0.5, 0.5, 0.5], [-0.5, 2, 2], [9, 9, 9], [-2, -2, -2]])
    example = Example(torch.zeros(8, 3, 16, 16), motion, made.bins_of(motion))
    with torch.no_grad():
        assert float(made.loss(made(example), example)["accuracy_still"]) == pytest.approx(4 / 12)


def test_it_learns_which_way_the_camera_went(task: Task) -> None:
    made = task(degrade=0.0, dropout=0.0, bins=2, gap=1)
    fit(made, lambda step: _two(walks(12, step)), steps=15)
    assert judge(made, [_two(walks(64, 1000))]) > 0.9


def _two(whole: Batch) -> Batch:
    return whole.using(video=whole["video"][:, :2], pose=whole["pose"][:, :2])


def test_poses_do_not_leak_by_the_order_of_frames(task: Task) -> None:
    """Still clips of a camera that always goes forwards: the order says which half of all motions it is."""
    made = task(bins=2, dropout=0.0)

    def sample(seed: int, count: int = 32) -> Batch:
        pose = torch.eye(4).repeat(count, 4, 1, 1)
        pose[:, :, 2, 3] = torch.arange(4) * torch.linspace(0.5, 1.5, count)[:, None]
        return with_poses(still_clips(count, frames=4, side=24, seed=seed), pose)

    def hits() -> float:
        examples = [made.pseudo_label(sample(500 + k), rng(900 + k)) for k in range(8)]
        return float(np.mean([float(made.loss(made(one), one)["accuracy_z"]) for one in examples]))

    fit(made, lambda seed: sample(seed, 16), steps=15)
    with torch.no_grad():
        assert abs(hits() - 0.5) < 3 * math.sqrt(0.25 / (8 * 32))


def test_equal_generators_give_equal_bits(task: Task) -> None:
    one: list[Example] = [task().pseudo_label(with_poses(still_clips(4, frames=4), poses(4)), rng(3)) for _ in range(2)]
    assert torch.equal(one[0].images, one[1].images)
    assert torch.equal(one[0].label, one[1].label)
