"""Transitive invariance: the graph, its three kinds of pairs, guards and resuming."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from selftaught.data.batch import Batch
from selftaught.encoders.base import Encoder
from selftaught.tasks.base import Known
from selftaught.tasks.temporal.transitive import Example, Transitive
from tests.tasks.clip_guards import (
    ForensicEncoder,
    assert_at_chance,
    border_clips,
    codec_clips,
    noise_clips,
    still_clips,
)
from tests.tasks.clips import batch, check_run, crossings, fit, rng

Config = Transitive.Config
Task = Callable[..., Transitive]
SMALL: dict[str, Any] = {"frames": 8, "hidden": 32, "embedding": 16}


@pytest.fixture
def task(tiny_encoder: Callable[[], Encoder]) -> Task:
    def make(**settings: Any) -> Transitive:
        return Transitive(tiny_encoder(), Config(**{**SMALL, **settings}), 16)

    return make


def known(groups: int, each: int) -> Known:
    """Clips of groups that are near to each other, with numbers from 100 on and the group as label."""
    label = torch.arange(groups).repeat_interleave(each)
    features = 10.0 * torch.eye(groups)[label] + 0.1 * torch.rand(len(label), groups, generator=rng())
    return Known(index=100 + torch.arange(len(label)), features=features, labels=label)


def test_neighbours_are_read_one_after_the_other(task: Task) -> None:
    made = task(neighbours=2)
    refreshed = made.before_epoch(known(4, 3), 48, rng())
    assert refreshed.order is not None
    pairs = (refreshed.order - 100).view(24, 2)
    assert torch.equal(pairs[:, 0] // 3, pairs[:, 1] // 3)
    assert bool((pairs[:, 0] != pairs[:, 1]).all())
    assert pairs[:, 0].bincount().tolist() == [2] * 12
    assert refreshed.scalars == {"edges_per_clip": 1.0, "edges_of_one_class": 1.0}
    video = noise_clips(4, frames=8)
    index = torch.tensor([100, 102, 103, 107])
    example = made.train().pseudo_label(Batch(index=index, inputs={"video": video}), rng())
    assert example.linked.tolist() == [1, 1, 0, 0]
    shown = made.show(example, made(example), 4)
    assert [len(sample.inputs) for sample in shown] == [6] * 4
    assert [str(sample.pseudo_label).split(" of ")[-1] for sample in shown] == [
        *["a neighbour"] * 2,
        *["the most similar clip"] * 2,
    ]
    assert made.eval().pseudo_label(Batch(index=index, inputs={"video": video}), rng()).linked.tolist() == [0] * 4
    with pytest.raises(ValueError, match="reads pairs, but a device got 3 samples of a batch"):
        made.train().pseudo_label(Batch(index=index[:3], inputs={"video": video[:3]}), rng())
    with pytest.raises(ValueError, match="needs at least 4 videos to find neighbours, got 3"):
        made.before_epoch(known(1, 3), 6, rng())


def test_loss_against_loops(task: Task) -> None:
    made = task(negatives=2, margin=0.3).train()
    z = torch.randn(6, 2, 16, generator=rng())
    moves, linked = torch.tensor([1.0, 1, 1, 0, 1, 1]), torch.tensor([1.0, 1, 1, 1, 0, 0])

    def distance(one: Tensor, other: Tensor) -> float:
        return 1 - float(torch.cosine_similarity(one, other, dim=0))

    def loss(query: Tensor, positive: Tensor, n: int) -> float:
        negatives = [z[m, end] for m in range(6) for end in range(2) if m // 2 != n // 2]
        nearest = sorted(distance(query, row) for row in negatives)[:2]
        return sum(max(0.0, distance(query, positive) - far + 0.3) for far in nearest) / 2

    track = [loss(z[n, 0], z[n, 1], n) for n in range(6) if moves[n]]
    both = [n for n in range(6) if moves[n] and moves[n ^ 1] and linked[n]]
    neighbour = [loss(z[n, 0], z[n ^ 1, 0], n) for n in both]
    transitive = [loss(z[n, 1], z[n ^ 1, 1], n) for n in both]
    assert both == [0, 1]
    found = made.loss(z, Example(torch.zeros(12), torch.zeros(6, 2, 4), moves, linked, torch.zeros(6)))
    expected = {"track": track, "neighbour": neighbour, "transitive": transitive}
    for name, values in expected.items():
        assert float(found[f"loss_{name}"]) == pytest.approx(sum(values) / len(values), abs=1e-5)
    mean = sum(sum(values) / len(values) for values in expected.values()) / 3
    assert float(found["loss"]) == pytest.approx(mean, abs=1e-5)


@pytest.mark.parametrize("descriptor", ["gradients", "features"])
def test_descriptors_are_of_what_moves_and_the_same_each_time(task: Task, descriptor: str) -> None:
    made = task(descriptor=descriptor, patch=0.4).eval()
    videos = crossings(range(6), frames=8, side=48, square=14)[0]
    one, same = made.embed(batch(videos)), made.embed(batch(videos))
    assert torch.equal(one, same)
    changed = videos.clone()
    changed[:, :, :, :2] = 128  # far from what moves
    away = (made.embed(batch(changed)) - one).norm(dim=1) / one.norm(dim=1)
    assert int((away < 0.1).sum()) >= 4


def test_it_brings_all_three_kinds_of_pairs_together(task: Task) -> None:
    videos = batch(crossings(range(16), frames=8)[0])
    made = task(colour=0.2, degrade=0.0)
    made.before_epoch(Known(index=videos.index, features=made.eval().embed(videos), labels=None), 16, rng())
    made.edges = torch.arange(0, 16, 2) * 2**31 + torch.arange(1, 16, 2)

    @torch.no_grad()
    def losses() -> dict[str, float]:
        example = made.train().pseudo_label(videos, rng(99))
        return {name: float(value) for name, value in made.loss(made(example), example).items()}

    before = losses()
    fit(made, lambda step: videos, steps=30, lr=5e-3)
    after = losses()
    assert all(after[name] < before[name] - 0.03 for name in ("loss_track", "loss_neighbour", "loss_transitive"))


def test_guard_clips_of_one_repeated_frame_give_no_gradient(task: Task) -> None:
    made = task().train()
    example = made.pseudo_label(batch(still_clips(6, frames=8)), rng())
    scalars = made.loss(made(example), example)
    scalars["loss"].backward()
    assert float(scalars["loss"].detach()) == 0
    assert not any(p.grad.any() for p in made.parameters() if p.grad is not None)


@pytest.mark.parametrize(
    "clips_of",
    [noise_clips, partial(border_clips, content="noise"), partial(codec_clips, content="noise")],
    ids=["noise", "border", "codec"],
)
def test_guard_patches_without_a_thing_are_not_found(clips_of: Callable[..., Tensor]) -> None:
    made = Transitive(ForensicEncoder(), Config(**SMALL), 16)
    made.edges = torch.arange(0, 16, 2) * 2**31 + torch.arange(1, 16, 2)
    assert_at_chance(made, clips_of, batches=10)


@pytest.mark.slow  # reads all videos before the first step, 5 s; the graph is state of its own
def test_a_run_is_resumed_exactly(tmp_path: Path, write_video: Any) -> None:
    check_run(tmp_path, write_video, "transitive", size=16, task_settings={"frames": 6, "neighbours": 2})
