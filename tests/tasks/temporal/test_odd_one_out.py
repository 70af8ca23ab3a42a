"""Odd-one-out networks: sub-sequences, fusion, guards, and learning from what crosses the frame."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from selftaught.encoders.base import Encoder
from selftaught.encoders.build import build_encoder
from selftaught.ops.colour import denormalise
from selftaught.ops.sheet import lay_strip
from selftaught.tasks.temporal.odd_one_out import Example, OddOneOut, wrong_orders
from tests.tasks.clip_guards import (
    BORDER_AND_CODEC,
    ForensicEncoder,
    assert_at_chance,
    noise_clips,
)
from tests.tasks.clips import batch, check_halves, crossings, fit, judge, rng

Config = OddOneOut.Config
Task = Callable[..., OddOneOut]
SMALL: dict[str, Any] = {"sequences": 3, "length": 4, "frames": 8, "hidden": 64, "dropout": 0.0}


@pytest.fixture
def task(tiny_clip_encoder: Callable[[], Encoder]) -> Task:
    def make(**settings: Any) -> OddOneOut:
        return OddOneOut(tiny_clip_encoder(), Config(**{**SMALL, **settings}), 16)

    return make


@pytest.mark.parametrize("sampling", ["random", "consecutive"])
def test_one_of_the_sub_sequences_is_out_of_order(task: Task, sampling: str) -> None:
    numbers, odd = task(sampling=sampling).choose(600, rng())
    assert numbers.shape == (600, 3, 4)
    assert 0 <= int(numbers.min()) <= int(numbers.max()) < 8
    for row, place in zip(numbers.tolist(), odd.tolist(), strict=True):
        for k, sequence in enumerate(row):
            assert len(set(sequence)) == 4
            assert (sequence not in (sorted(sequence), sorted(sequence)[::-1])) == (k == place)
            assert sampling == "random" or max(sequence) - min(sequence) == 3
    assert all(150 < int((odd == k).sum()) < 250 for k in range(3))
    assert len(wrong_orders(4)) == 22


def test_the_frames_are_those_that_were_chosen(task: Task) -> None:
    grey = torch.arange(8, dtype=torch.uint8)[:, None, None, None] * 8 + 40
    made = task(degrade=0.0)
    example = made.pseudo_label(batch(grey.expand(5, 8, 3, 24, 24)), rng())
    numbers, odd = made.choose(5, rng())
    assert torch.equal(example.odd, odd)
    value = torch.stack([denormalise(clip.transpose(0, 1)).mean((1, 2, 3)) for clip in example.clips]) * 255
    assert torch.allclose(value, (numbers.flatten(0, 1) * 8 + 40).float(), atol=0.6)


@pytest.mark.parametrize("fusion", ["concatenation", "differences"])
def test_logits_and_loss_against_loops(task: Task, fusion: str) -> None:
    made = task(fusion=fusion).eval()
    example = made.pseudo_label(batch(noise_clips(4, frames=8)), rng())
    total, hits = 0.0, 0
    with torch.no_grad():
        logits = made(example)
        for n in range(4):
            features = [made.encoder(example.clips[3 * n + k][None]) for k in range(3)]
            pairs = itertools.combinations(range(3), 2)
            fused = (
                torch.cat(features, 1)
                if fusion == "concatenation"
                else sum(features[i] - features[j] for i, j in pairs)
            )
            expected = made.head(fused)[0]
            assert torch.allclose(logits[n], expected, atol=1e-5)
            scores = expected.tolist()
            total -= scores[int(example.odd[n])] - math.log(sum(math.exp(score) for score in scores))
            hits += max(range(3), key=scores.__getitem__) == int(example.odd[n])
    found = made.loss(logits, example)
    assert float(found["loss"]) == pytest.approx(total / 4, rel=1e-4)
    assert float(found["accuracy"]) == pytest.approx(hits / 4)
    assert made.chance(8) == pytest.approx(1 / 3)


def test_it_is_a_function_of_the_generator_and_halves_are_the_whole(task: Task) -> None:
    made = task()
    videos = batch(noise_clips(4, frames=8))
    one, same = (made.pseudo_label(videos, rng(3)) for _ in range(2))
    assert torch.equal(one.clips, same.clips)
    fields = (one.clips, one.odd, one.numbers)
    halves = [Example(*parts) for parts in zip(*(f.chunk(2) for f in fields), strict=True)]
    check_halves(made, one, halves)


@pytest.mark.parametrize("prefix", ["differences3", "sumdiff", "dynamic"])
def test_a_sub_sequence_may_be_seen_as_one_image(prefix: str) -> None:
    encoder = build_encoder(f"{prefix}:timm:test_resnet", size=16, stem="standard")
    made = OddOneOut(encoder, Config(**SMALL), 16)
    example = made.pseudo_label(batch(noise_clips(2, frames=8)), rng())
    assert made(example).shape == (2, 3)
    *clips, strip = made.show(example, made(example), 1)[0].inputs
    assert [clip.shape for clip in clips] == [(4, 3, 64, 64)] * 3, "enlarged, with their numbers"
    odd = denormalise(example.clips[int(example.odd[0])].transpose(0, 1))
    assert torch.equal(strip, lay_strip(odd, example.numbers[0, example.odd[0]].tolist()))


def test_a_video_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match=r"--task\.frames must be at least --task\.length = 6, got 5; raise it or"):
        Config(frames=5)


def test_it_finds_the_odd_one_of_a_moving_square(task: Task) -> None:
    videos = crossings(range(100), frames=8)[0]
    made = task(degrade=0.2)
    fit(made, lambda step: batch(videos[:70]), steps=50, lr=5e-3)
    assert judge(made, [batch(videos[70:])] * 3) > 0.5


@pytest.mark.parametrize("clips_of", BORDER_AND_CODEC.values(), ids=BORDER_AND_CODEC)
def test_guard_what_is_no_motion_has_no_odd_one(clips_of: Callable[..., Tensor]) -> None:
    assert_at_chance(OddOneOut(ForensicEncoder(4), Config(**SMALL), 16), clips_of)
