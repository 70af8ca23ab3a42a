"""The arrow of time: groups of frames, the convolutions over them, guards, and learning from what falls."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from selftaught.encoders.base import Encoder
from selftaught.encoders.build import build_encoder
from selftaught.encoders.video.lstm import LstmEncoder
from selftaught.ops.colour import denormalise
from selftaught.tasks.temporal import arrow_of_time
from selftaught.tasks.temporal.arrow_of_time import ArrowOfTime, Example
from tests.tasks.clip_guards import (
    BORDER_AND_CODEC,
    ForensicEncoder,
    assert_at_chance,
    noise_clips,
    still_clips,
)
from tests.tasks.clips import batch, check_halves, crossings, fit, judge, rng

Config = ArrowOfTime.Config
Task = Callable[..., ArrowOfTime]
SMALL: dict[str, Any] = {"frames": 4, "width": 32, "dropout": 0.0}


@pytest.fixture
def task(tiny_clip_encoder: Callable[[], Encoder]) -> Task:
    def make(**settings: Any) -> ArrowOfTime:
        return ArrowOfTime(tiny_clip_encoder(), Config(**{**SMALL, **settings}), 16)

    return make


def test_groups_share_a_frame_and_backwards_is_the_whole_clip_reversed(task: Task) -> None:
    grey = torch.arange(7, dtype=torch.uint8)[:, None, None, None] * 20 + 40
    example = task(degrade=0.0).pseudo_label(batch(grey.expand(40, 7, 3, 24, 24)), rng())
    assert example.groups.shape == (80, 3, 4, 16, 16)
    value = torch.stack([denormalise(group.transpose(0, 1)).mean((1, 2, 3)) for group in example.groups]) * 255
    numbers = ((value - 40) / 20).round().int().view(40, 2, 4).tolist()
    for clip, forwards in zip(numbers, example.forwards.tolist(), strict=True):
        assert clip == ([[0, 1, 2, 3], [3, 4, 5, 6]] if forwards else [[6, 5, 4, 3], [3, 2, 1, 0]])
    assert 10 < int(example.forwards.sum()) < 30


def test_logits_and_loss_against_loops(task: Task) -> None:
    made = task(groups=2).eval()
    example = made.pseudo_label(batch(noise_clips(4, frames=7)), rng())
    total, hits = 0.0, 0
    with torch.no_grad():
        logits = made(example)
        for n in range(4):
            maps = [made.encoder.forward_features(example.groups[2 * n + g][None]).mean(2) for g in range(2)]
            fused = made.fusion(torch.cat(maps, 1))
            cells = [made.head(fused[0, :, y, x]) for y in range(fused.shape[2]) for x in range(fused.shape[3])]
            assert float(logits[n]) == pytest.approx(float(torch.stack(cells).mean()), abs=1e-5)
            chance = 1 / (1 + math.exp(-float(logits[n])))
            forwards = bool(example.forwards[n])
            total -= math.log(chance if forwards else 1 - chance)
            hits += (chance > 0.5) == forwards
    found = made.loss(logits, example)
    assert float(found["loss"]) == pytest.approx(total / 4, rel=1e-4)
    assert float(found["accuracy"]) == pytest.approx(hits / 4)
    assert made.chance(8) == 0.5


def test_it_is_a_function_of_the_generator_and_halves_are_the_whole(task: Task) -> None:
    made = task()
    videos = batch(noise_clips(4, frames=7))
    one, same = (made.pseudo_label(videos, rng(3)) for _ in range(2))
    assert torch.equal(one.groups, same.groups)
    halves = [Example(*parts) for parts in zip(one.groups.chunk(2), one.forwards.chunk(2), strict=True)]
    check_halves(made, one, halves)


def test_encoders_of_flow_and_of_sequences_give_maps(tiny_encoder: Callable[[], Encoder]) -> None:
    flow = build_encoder("flow3:timm:test_resnet", size=16, stem="standard")
    for encoder in (flow, LstmEncoder("lstm:tiny", tiny_encoder())):
        made = ArrowOfTime(encoder, Config(**SMALL), 16)
        example = made.pseudo_label(batch(noise_clips(2, frames=7)), rng())
        assert made(example).shape == (2,)
        assert encoder.training
    samples = made.show(example, made(example), 2)
    (clip,) = samples[1].inputs
    groups = denormalise(example.groups[2:].transpose(1, 2).flatten(0, 1))
    assert torch.equal(clip, groups[[0, 1, 2, 3, 5, 6, 7]]), "both groups, and the frame that they share once"
    assert samples[1].pseudo_label == ("forwards" if example.forwards[1] else "played backwards")


def falling(count: int, frames: int = 7, side: int = 24) -> Tensor:
    """White squares that fall from rest over a ground of their own: the direction of time is seen."""
    videos = crossings(range(count), frames=frames, side=side)[0][:, :1].repeat(1, frames, 1, 1, 1)
    videos.clamp_(max=120)
    for n in range(count):
        left = int(torch.randint(2, side - 8, (1,), generator=rng(n)))
        for t in range(frames):
            top = 1 + round((side - 9) * (t / (frames - 1)) ** 2)
            videos[n, t, :, top : top + 6, left : left + 6] = 255
    return videos


def test_it_learns_in_which_direction_things_fall(task: Task) -> None:
    videos = falling(70)
    made = task(degrade=0.2)
    fit(made, lambda step: batch(videos[:50]), steps=30, lr=5e-3)
    assert judge(made, [batch(videos[50:])] * 4) > 0.85


def test_guard_the_camera_is_stabilised(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera tilts downwards over ground that stands still: nothing moves in what is shown."""
    tall = still_clips(8, frames=1, side=78)[..., :64]
    tilted = batch(torch.cat([tall[:, :, :, 2 * t : 2 * t + 64] for t in range(7)], 1))
    made = task(degrade=0.0)
    moved = made.pseudo_label(tilted, rng()).groups.diff(dim=2).abs().mean()
    monkeypatch.setattr(arrow_of_time, "camera_shifts", lambda video: torch.zeros(*video.shape[:2], 2))
    assert float(moved) < 0.2 * float(made.pseudo_label(tilted, rng()).groups.diff(dim=2).abs().mean())


@pytest.mark.parametrize("clips_of", BORDER_AND_CODEC.values(), ids=BORDER_AND_CODEC)
def test_guard_what_is_no_motion_has_no_direction(clips_of: Callable[..., Tensor]) -> None:
    assert_at_chance(ArrowOfTime(ForensicEncoder(4), Config(**SMALL), 16), clips_of)
