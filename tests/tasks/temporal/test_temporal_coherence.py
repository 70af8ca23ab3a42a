"""Temporal coherence: which frames are chosen, its two losses, guards, and learning where a square is."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from selftaught.encoders.base import Encoder
from selftaught.tasks.temporal.temporal_coherence import Example, TemporalCoherence
from tests.tasks.clip_guards import (
    ForensicEncoder,
    assert_at_chance,
    border_clips,
    codec_clips,
    noise_clips,
    still_clips,
)
from tests.tasks.clips import batch, crossings, fit, judge, rng
from tests.two_processes import in_two_processes, join_group

Config = TemporalCoherence.Config
Task = Callable[..., TemporalCoherence]


@pytest.fixture
def task(tiny_encoder: Callable[[], Encoder]) -> Task:
    def make(**settings: Any) -> TemporalCoherence:
        return TemporalCoherence(tiny_encoder(), Config(**{"embedding": 16, **settings}), 16)

    return make


def noise(n: int, frames: int = 15) -> Tensor:
    return torch.randint(256, (n, frames, 3, 24, 24), dtype=torch.uint8, generator=rng(1))


@pytest.mark.parametrize(("frames", "reach"), [(15, 3), (5, 1), (11, 3)])
def test_triplets_are_evenly_spaced_and_the_far_frame_is_far(task: Task, frames: int, reach: int) -> None:
    numbers = task(frames=frames, reach=reach).choose(4000, rng())
    a, b, c, f = numbers.unbind(1)
    assert torch.equal(b - a, c - b)
    step = (b - a).abs()
    assert step.unique().tolist() == list(range(1, reach + 1))
    assert torch.allclose(step.bincount().float()[1:] / 4000, torch.tensor(1 / reach), atol=0.03)
    assert 0.45 < float((b > a).float().mean()) < 0.55
    assert int(torch.minimum((a - f).abs(), (c - f).abs()).min()) == reach + 1
    is_outside = (f < torch.minimum(a, c)) | (f > torch.maximum(a, c))
    assert bool(is_outside.all())
    assert int(numbers.min()) == 0
    assert int(numbers.max()) == frames - 1


def test_loss_against_loops(task: Task) -> None:
    made = task(margin=0.8, steady=0.3)
    z = torch.randn(3, 4, 5, generator=rng()) * 0.3
    slow = steady = hits_slow = hits_steady = 0.0

    def norm(row: Tensor) -> float:
        return math.sqrt(sum(float(x) ** 2 for x in row))

    for n in range(3):
        a, b, c, f = z[n]
        other = z[(n - 1) % 3, 3]
        slow += (norm(a - b) + norm(b - c)) / 2
        slow += (max(0, 0.8 - norm(b - f)) + max(0, 0.8 - norm(b - other))) / 2
        steady += norm((b - a) - (c - b)) + max(0, 0.8 - norm((b - a) - (f - b)))
        hits_slow += (norm(a - b) < norm(b - f)) / 2 + (norm(b - c) < norm(b - f)) / 2
        hits_steady += norm((b - a) - (c - b)) < norm((b - a) - (f - b))
    found = made.loss(z, Example(torch.zeros(12), torch.zeros(3, 4)))
    assert float(found["slow"]) == pytest.approx(slow / 3, rel=1e-5)
    assert float(found["steady"]) == pytest.approx(steady / 3, rel=1e-5)
    assert float(found["loss"]) == pytest.approx((slow + 0.3 * steady) / 3, rel=1e-5)
    assert float(found["accuracy_slow"]) == pytest.approx(hits_slow / 3)
    assert float(found["accuracy_steady"]) == pytest.approx(hits_steady / 3)
    assert float(found["accuracy"]) == pytest.approx((hits_slow + hits_steady) / 6)
    same = made.loss(torch.zeros(3, 4, 5, requires_grad=True), Example(torch.zeros(12), torch.zeros(3, 4)))
    same["loss"].backward()
    assert float(same["accuracy"]) == 0.5


def half(rank: int, port: int, z: Tensor, gradient: Tensor, loss: float) -> None:
    join_group(rank, port)
    mine = z[2 * rank : 2 * rank + 2].clone().requires_grad_()
    made = TemporalCoherence(ForensicEncoder(), Config(embedding=5), 16)
    value = made.loss(mine, Example(torch.zeros(8), torch.zeros(2, 4)))["loss"]
    value.backward()
    assert mine.grad is not None
    assert torch.allclose(mine.grad / 2, gradient[2 * rank : 2 * rank + 2], atol=1e-6)
    total = value.detach().clone()
    torch.distributed.all_reduce(total)
    assert float(total) / 2 == pytest.approx(loss, abs=1e-6)


@pytest.mark.slow  # two further processes, which import torch
def test_two_processes_are_one(task: Task) -> None:
    """A frame of another video may be of the other process."""
    z = (torch.randn(4, 4, 5, generator=rng()) * 0.3).requires_grad_()
    loss = task(embedding=5).loss(z, Example(torch.zeros(16), torch.zeros(4, 4)))["loss"]
    loss.backward()
    assert z.grad is not None
    in_two_processes(half, z.detach(), z.grad, float(loss.detach()))


def test_short_clips_ask_for_an_encoder_of_video(task: Task, tiny_clip_encoder: Callable[[], Encoder]) -> None:
    config = Config(clip=3)
    assert TemporalCoherence.encoders_for(config)["encoder"].kind == "video"
    assert TemporalCoherence.inputs(config)["video"].frames == 17  # type: ignore[attr-defined]
    made = TemporalCoherence(tiny_clip_encoder(), config, 16)
    example = made.pseudo_label(batch(noise(2, 17)), rng())
    assert example.views.shape == (8, 3, 3, 16, 16)
    assert made(example).shape == (2, 4, 128)
    assert made.show(example, made(example), 2)[1].inputs[3].shape == (3, 3, 64, 64)


def test_it_learns_what_moves(task: Task) -> None:
    """A square crosses the frame: its features must tell where it is, unlike those of random weights."""
    videos = crossings(range(100), frames=15)[0]
    made = task(jitter=0.1)
    before = judge(made.eval(), [batch(videos[80:])] * 4)
    fit(made, lambda step: batch(videos[:80]), steps=40, lr=3e-3)
    after = judge(made, [batch(videos[80:])] * 4)
    assert after > max(0.9, before + 0.03)


@pytest.mark.parametrize(
    "clips_of",
    [still_clips, noise_clips, border_clips, partial(border_clips, border="edge"), codec_clips],
    ids=["still", "noise", "grow", "edge", "codec"],
)
def test_guard_frames_without_order_in_time_stay_at_chance(clips_of: Callable[..., Tensor]) -> None:
    made = TemporalCoherence(ForensicEncoder(), Config(embedding=16, frames=14), 16)
    assert_at_chance(made, clips_of, batches=12)


def test_clips_too_short_for_a_far_frame_are_refused() -> None:
    with pytest.raises(ValueError, match=r"--task\.frames must be at least 3 reach \+ 2 = 14.*got 13; raise it or"):
        Config(frames=13, reach=4)
