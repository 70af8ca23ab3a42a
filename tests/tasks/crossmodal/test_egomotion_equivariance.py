"""Equivariance: patterns of motion, the loss against loops, the guard, and learning how the camera moved."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from selftaught.encoders.base import Encoder
from selftaught.tasks.base import Known
from selftaught.tasks.crossmodal.egomotion_equivariance import EgomotionEquivariance, Example
from tests.tasks.clip_guards import still_clips
from tests.tasks.clips import fit, judge, rng
from tests.tasks.walks import poses, walks, with_poses

Config = EgomotionEquivariance.Config
Task = Callable[..., EgomotionEquivariance]


@pytest.fixture
def task(tiny_encoder: Callable[[], Encoder]) -> Task:
    def make(size: int = 16, **settings: Any) -> EgomotionEquivariance:
        config = Config(**{"patterns": 3, "gap": 3, "width": 5, **settings})
        return EgomotionEquivariance(tiny_encoder(), config, size)

    return make


def prepared(task: EgomotionEquivariance, pose: Tensor) -> EgomotionEquivariance:
    """With the patterns of the motions of these poses."""
    features = task.embed(with_poses(torch.zeros(len(pose), 1), pose))
    task.before_epoch(Known(index=torch.arange(len(pose)), features=features, labels=None), 1, rng())
    return task


def test_patterns_are_clusters_of_scaled_motions_and_their_opposites(task: Task) -> None:
    """A camera that stands, goes or turns: still, and both ways along either axis, however large their units are."""
    pose = torch.eye(4).repeat(30, 2, 1, 1)
    pose[10:20, 1, 2, 3] = 50
    turn = 0.01
    pose[20:, 1, :3, :3] = torch.tensor(
        [[math.cos(turn), 0, math.sin(turn)], [0, 1, 0], [-math.sin(turn), 0, math.cos(turn)]]
    )
    made = prepared(task(patterns=5, gap=1), pose)
    found = {tuple(round(value, 3) + 0.0 for value in row) for row in (made.centres * made.spread).tolist()}
    assert found == {(0, 0, 0), (0, 50, 0), (0, -50, 0), (0, 0, 0.01), (0, 0, -0.01)}
    assert made.centres[0].norm() == pytest.approx(0, abs=1e-6)
    assert sorted(round(30 * share) for share in made.shares.tolist()) == [5, 5, 5, 5, 10]


@pytest.mark.parametrize("form", ["linear", "squared"])
def test_loss_against_loops(task: Task, form: str) -> None:
    made = task(form=form, margin=1.5, coherence=0.3)
    first, second = (torch.randn(4, 5, generator=rng(k)) / 2 for k in (1, 2))
    pattern, video = torch.tensor([0, 2, 1, 2]), torch.tensor([7, 7, 3, 4])
    shares = [0.5, 0.2, 0.3]
    made.shares = torch.tensor(shares)
    power, half = (1, 1.0) if form == "linear" else (2, 0.5)
    moves = stays = right = 0.0
    with torch.no_grad():
        for n in range(4):
            distances = [float((made.maps[g] @ first[n] - second[n]).norm()) for g in range(3)]
            for g in range(3):
                value = distances[g] if g == pattern[n] else max(0.0, 1.5 - distances[g])
                moves += half * value**power / 4 / (3 * shares[int(pattern[n])])
            right += (min(range(3), key=distances.__getitem__) == pattern[n]) / shares[int(pattern[n])]
            others = [m for m in range(4) if video[m] != video[n]]
            stays += 0.5 * float((first[n] - second[n]).norm()) ** 2 / 4
            for m in others:
                stays += 0.5 * max(0.0, 1.5 - float((first[n] - second[m]).norm())) ** 2 / len(others) / 4
        found = made.loss((first, second), Example(torch.zeros(8, 1), torch.zeros(4, 3), pattern, video))
    assert float(found["loss"]) == pytest.approx(moves + 0.3 * stays, rel=1e-5)
    assert float(found["accuracy"]) == pytest.approx(right / sum(1 / shares[g] for g in pattern.tolist()))


def test_equal_features_have_a_finite_gradient(task: Task) -> None:
    made = task()
    same = torch.zeros(3, 5, requires_grad=True)
    example = Example(torch.zeros(6, 1), torch.zeros(3, 3), torch.zeros(3, dtype=torch.int64), torch.arange(3))
    made.loss((same, same), example)["loss"].backward()
    assert same.grad is not None
    assert same.grad.isfinite().all()


def test_it_learns_which_way_the_camera_went(task: Task) -> None:
    made = prepared(task(32, patterns=2, gap=3, degrade=0.0, width=16), walks(64, 500)["pose"])
    fit(made, lambda step: walks(32, step), steps=25, lr=5e-3)
    assert judge(made, [walks(64, 1000 + k) for k in range(3)]) > 0.65


def test_poses_do_not_leak_by_the_order_of_frames(task: Task) -> None:
    """Still clips of a camera that always goes forwards: the order says which of two patterns it is."""
    pose = torch.eye(4).repeat(32, 4, 1, 1)
    pose[:, :, 2, 3] = torch.arange(4) * torch.linspace(0.5, 1.5, 32)[:, None]
    made = prepared(task(patterns=2), pose)
    fit(made, lambda seed: with_poses(still_clips(32, frames=4, side=24, seed=seed), pose), steps=15)
    batches = [with_poses(still_clips(32, frames=4, side=24, seed=500 + k), pose) for k in range(8)]
    assert abs(judge(made, batches) - 0.5) < 3 * math.sqrt(0.25 / (8 * 32))


def test_equal_generators_give_equal_bits(task: Task) -> None:
    made = prepared(task(), poses(20))
    one, other = (made.pseudo_label(with_poses(still_clips(4, frames=4), poses(4)), rng(3)) for _ in range(2))
    assert torch.equal(one.images, other.images)
    assert torch.equal(one.pattern, other.pattern)
