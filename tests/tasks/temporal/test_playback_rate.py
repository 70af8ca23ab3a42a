"""Playback rate: frames of each pace, both of its forms, guards, and learning from what crosses the frame."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from selftaught.encoders.base import Encoder
from selftaught.ops.colour import denormalise
from selftaught.tasks.temporal.playback_rate import Example, PlaybackRate
from tests.tasks.clip_guards import (
    BORDER_AND_CODEC,
    ForensicEncoder,
    assert_at_chance,
    noise_clips,
)
from tests.tasks.clips import batch, check_halves, crossings, fit, judge, rng

Config = PlaybackRate.Config
Task = Callable[..., PlaybackRate]
SMALL: dict[str, Any] = {"paces": 3, "frames": 4}


@pytest.fixture
def task(tiny_clip_encoder: Callable[[], Encoder]) -> Task:
    def make(**settings: Any) -> PlaybackRate:
        return PlaybackRate(tiny_clip_encoder(), Config(**{**SMALL, **settings}), 16)

    return make


def test_frames_of_a_pace_are_that_far_apart_and_begin_anywhere(task: Task) -> None:
    made = task()
    label, rate = made.rates(3000, rng())
    numbers = made.numbers(rate, rng(1))
    assert made.config.needed == 10
    for k in range(3):
        own = numbers[label == k]
        assert 900 < len(own) < 1100
        assert own.diff(dim=1).unique().tolist() == [k + 1]
        assert sorted(own[:, 0].unique().tolist()) == list(range(10 - 3 * (k + 1)))


def test_rates_of_speednet_skip_frames_at_a_phase_of_their_own(task: Task) -> None:
    made = task(form="sped_up", frames=6)
    label, rate = made.rates(2000, rng())
    assert label.tolist() == [0] * 2000 + [1] * 2000
    assert 1 <= float(rate[:2000].min()) <= float(rate[:2000].max()) < 1.2
    assert 1.7 <= float(rate[2000:].min()) <= float(rate[2000:].max()) < 2.2
    numbers = made.numbers(rate, rng(1))
    assert int(numbers.min()) == 0
    assert int(numbers.max()) == made.config.needed - 1 == 11
    passed = (numbers[:, -1] - numbers[:, 0]).float()
    assert float((passed - 5 * rate).abs().max()) <= 1
    assert numbers[:2000].diff(dim=1).unique().tolist() == [1, 2]
    assert set(numbers[2000:].diff(dim=1).unique().tolist()) == {1, 2, 3}


def test_clips_have_the_frames_of_their_pace(task: Task) -> None:
    made = task(degrade=0.0, colour=0.0)
    grey = torch.arange(10, dtype=torch.uint8)[:, None, None, None] * 10 + 40
    example = made.pseudo_label(batch(grey.expand(6, 10, 3, 24, 24)), rng())
    value = torch.stack([denormalise(clip.transpose(0, 1)).mean((1, 2, 3)) for clip in example.clips]) * 255
    assert torch.allclose(value.diff(dim=1) / 10, (example.label + 1).float()[:, None].expand(6, 3), atol=0.1)


def test_loss_against_loops(task: Task) -> None:
    made = task().eval()
    example = made.pseudo_label(batch(noise_clips(5, frames=10)), rng())
    total, hits = 0.0, 0
    with torch.no_grad():
        logits, projections = made(example)
    assert projections is None
    for n in range(5):
        scores, label = logits[n].tolist(), int(example.label[n])
        total -= scores[label] - math.log(sum(math.exp(score) for score in scores))
        hits += max(range(3), key=scores.__getitem__) == label
    found = made.loss((logits, None), example)
    assert float(found["loss"]) == pytest.approx(total / 5, rel=1e-4)
    assert float(found["accuracy"]) == pytest.approx(hits / 5)
    assert made.chance(8) == pytest.approx(1 / 3)
    assert task(form="sped_up").chance(8) == 0.5


def test_it_is_a_function_of_the_generator_and_halves_are_the_whole(task: Task) -> None:
    made = task()
    videos = batch(noise_clips(4, frames=10))
    one, same = (made.pseudo_label(videos, rng(3)) for _ in range(2))
    assert torch.equal(one.clips, same.clips)
    parts = zip(one.clips.chunk(2), one.label.chunk(2), one.rate.chunk(2), strict=True)
    check_halves(made, one, [Example(*part) for part in parts])


def test_the_contrast_is_of_two_clips_of_each_video(task: Task) -> None:
    made = task(contrast=0.1, projection=6, temperature=0.5).eval()
    example = made.pseudo_label(batch(noise_clips(3, frames=10)), rng())
    assert example.clips.shape == (6, 3, 4, 16, 16)
    assert not torch.equal(example.clips[:3], example.clips[3:])
    with torch.no_grad():
        logits, projections = made(example)
        assert projections is not None
        found = made.loss((logits, projections), example)
    unit = [[value / math.hypot(*row) for value in row] for row in projections.tolist()]
    cosine = [[sum(a * b for a, b in zip(one, other, strict=True)) for other in unit] for one in unit]
    total = 0.0
    for i in range(6):
        scores = {j: math.exp(cosine[i][j] / 0.5) for j in range(6) if j != i}
        total -= math.log(scores[(i + 3) % 6] / sum(scores.values()))
    plain = float(task().loss((logits, None), example)["loss"])
    assert float(found["loss"]) == pytest.approx(plain + 0.1 * total / 6, rel=1e-4)
    with pytest.raises(ValueError, match=r"--task\.contrast is of --task\.form pace only, got 0\.1 with sped_up"):
        Config(form="sped_up", contrast=0.1)


def test_shown_clips_are_of_both_classes(task: Task) -> None:
    made = task(form="sped_up").eval()
    example = made.pseudo_label(batch(noise_clips(3, frames=made.config.needed)), rng())
    samples = made.show(example, made(example), 4)
    assert [str(sample.pseudo_label).split(" (")[0] for sample in samples] == ["normal", "sped up"] * 2
    assert [sample.inputs[0].shape for sample in samples] == [(4, 3, 16, 16)] * 4


@pytest.mark.parametrize("form", ["pace", "sped_up"])
def test_it_learns_how_fast_a_square_crosses(task: Task, form: str) -> None:
    made = task(form=form, paces=2, frames=4, least_side=0.9, colour=0.2, degrade=0.1)
    videos = crossings(range(0, 100, 2), frames=made.config.needed)[0]
    fit(made, lambda step: batch(videos[:40]), steps=40, lr=5e-3)
    assert judge(made, [batch(videos[40:])] * 4) > 0.75


@pytest.mark.parametrize("form", ["pace", "sped_up"])
@pytest.mark.parametrize("clips_of", BORDER_AND_CODEC.values(), ids=BORDER_AND_CODEC)
def test_guard_what_is_no_motion_has_no_rate(clips_of: Callable[..., Tensor], form: str) -> None:
    assert_at_chance(PlaybackRate(ForensicEncoder(4), Config(**{**SMALL, "form": form}), 16), clips_of)
