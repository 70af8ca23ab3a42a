"""Clip order: which clips are shown in which order, guards, and learning from what crosses the frame."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from selftaught.encoders.base import Encoder
from selftaught.ops.colour import denormalise
from selftaught.ops.sheet import numbered
from selftaught.tasks.temporal.clip_order import ClipOrder, Example
from tests.tasks.clip_guards import (
    BORDER_AND_CODEC,
    ForensicEncoder,
    assert_at_chance,
    noise_clips,
)
from tests.tasks.clips import batch, check_halves, crossings, fit, judge, rng

Config = ClipOrder.Config
Task = Callable[..., ClipOrder]
SMALL: dict[str, Any] = {"frames": 3, "interval": 1, "hidden": 64, "dropout": 0.0}


@pytest.fixture
def task(tiny_clip_encoder: Callable[[], Encoder]) -> Task:
    def make(**settings: Any) -> ClipOrder:
        return ClipOrder(tiny_clip_encoder(), Config(**{**SMALL, **settings}), 16)

    return make


def test_clips_are_stretches_of_the_video_with_frames_between_them(task: Task) -> None:
    grey = torch.arange(11, dtype=torch.uint8)[:, None, None, None] * 8 + 40
    example = task(degrade=0.0).pseudo_label(batch(grey.expand(5, 11, 3, 24, 24)), rng())
    assert example.clips.shape == (15, 3, 3, 16, 16)
    value = torch.stack([denormalise(clip.transpose(0, 1)).mean((1, 2, 3)) for clip in example.clips]) * 255
    numbers = torch.tensor([[0, 1, 2], [4, 5, 6], [8, 9, 10]]).repeat(5, 1)
    assert torch.allclose(value, (numbers * 8 + 40).float(), atol=0.6)


def test_every_order_is_drawn_as_often(task: Task) -> None:
    order = torch.cat([task().pseudo_label(batch(noise_clips(200, frames=11, side=8)), rng(k)).order for k in range(6)])
    assert order.shape == (1200, 1)
    assert all(150 < int((order == k).sum()) < 250 for k in range(6))
    several = task(orders=6).pseudo_label(batch(noise_clips(4, frames=11, side=8)), rng()).order
    assert several.sort(1).values.tolist() == [list(range(6))] * 4


def test_logits_and_loss_against_loops_over_pairs(task: Task) -> None:
    made = task(orders=4).eval()
    example = made.pseudo_label(batch(noise_clips(3, frames=11)), rng())
    permutations = list(itertools.permutations(range(3)))
    total, hits = 0.0, 0
    with torch.no_grad():
        logits = made(example)
        for n, r in itertools.product(range(3), range(4)):
            label = int(example.order[n, r])
            features = [made.encoder(example.clips[3 * n + place][None]) for place in permutations[label]]
            pairs = [made.pair_head(torch.cat([features[i], features[j]], 1)) for i, j in ((0, 1), (0, 2), (1, 2))]
            expected = made.order_head(torch.cat(pairs, 1))[0]
            assert torch.allclose(logits[n, r], expected, atol=1e-5)
            scores = expected.tolist()
            total -= scores[label] - math.log(sum(math.exp(score) for score in scores))
            hits += max(range(6), key=scores.__getitem__) == label
    found = made.loss(logits, example)
    assert float(found["loss"]) == pytest.approx(total / 12, rel=1e-4)
    assert float(found["accuracy"]) == pytest.approx(hits / 12)
    assert made.chance(8) == pytest.approx(1 / 6)


def test_it_is_a_function_of_the_generator_and_halves_are_the_whole(task: Task) -> None:
    made = task()
    videos = batch(noise_clips(4, frames=11))
    one, same = (made.pseudo_label(videos, rng(3)) for _ in range(2))
    assert torch.equal(one.clips, same.clips)
    assert torch.equal(one.order, same.order)
    halves = [Example(*parts) for parts in zip(one.clips.chunk(2), one.order.chunk(2), strict=True)]
    check_halves(made, one, halves)


def test_shown_clips_are_in_the_order_that_is_named(task: Task) -> None:
    made = task().eval()
    example = made.pseudo_label(batch(noise_clips(2, frames=11)), rng())
    sample = made.show(example, made(example), 2)[1]
    places = [int(word) - 1 for word in str(sample.pseudo_label).removeprefix("order ").split()]
    for clip, place in zip(sample.inputs, places, strict=True):
        assert torch.equal(clip, numbered(denormalise(example.clips[3 + place].transpose(0, 1)), place + 1))


def test_more_orders_than_there_are_are_refused() -> None:
    with pytest.raises(ValueError, match=r"--task\.orders must be at most 2, the orders of 2 clips, got 3; lower it"):
        Config(clips=2, orders=3)


def test_it_learns_the_order_of_a_moving_square(task: Task) -> None:
    videos = crossings(range(0, 100, 2), frames=11)[0]
    made = task(orders=6, degrade=0.3)
    fit(made, lambda step: batch(videos[:40]), steps=30, lr=5e-3)
    assert judge(made, [batch(videos[40:])] * 3) > 0.4


@pytest.mark.parametrize("clips_of", BORDER_AND_CODEC.values(), ids=BORDER_AND_CODEC)
def test_guard_what_is_no_motion_has_no_order(clips_of: Callable[..., Tensor]) -> None:
    assert_at_chance(ClipOrder(ForensicEncoder(3), Config(**SMALL, orders=2), 16), clips_of)
