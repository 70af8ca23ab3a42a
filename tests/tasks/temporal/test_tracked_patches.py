"""Tracked patches: hard negatives in time, guards, resuming and learning."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from selftaught.encoders.base import Encoder
from selftaught.tasks.parts.clips.ranking import own_group, ranking_loss
from selftaught.tasks.temporal.tracked_patches import Example, TrackedPatches
from tests.tasks.clip_guards import (
    ForensicEncoder,
    assert_at_chance,
    border_clips,
    codec_clips,
    noise_clips,
    still_clips,
)
from tests.tasks.clips import batch, check_run, crossings, fit, judge, rng

Config = TrackedPatches.Config
Task = Callable[..., TrackedPatches]
SMALL: dict[str, Any] = {"frames": 8, "hidden": 32, "embedding": 16}


@pytest.fixture
def task(tiny_encoder: Callable[[], Encoder]) -> Task:
    def make(**settings: Any) -> TrackedPatches:
        return TrackedPatches(tiny_encoder(), Config(**{**SMALL, **settings}), 16)

    return make


def test_the_loss_is_that_of_clips_that_move(task: Task) -> None:
    z = torch.randn(4, 2, 16, generator=rng())
    moves, drawn = torch.tensor([1.0, 0, 1, 1]), torch.rand(4, 4, generator=rng(1))
    made = task()
    found = made.loss(z, Example(torch.zeros(8), torch.zeros(4, 2, 4), moves, drawn, torch.zeros(4)))
    losses = ranking_loss(
        z[:, 0],
        z[:, 1],
        z.flatten(0, 1),
        own_group(z, 1).repeat_interleave(2, 1),
        count=4,
        margin=0.5,
        drawn=drawn,
    )
    assert float(found["loss"]) == pytest.approx(float(losses[[0, 2, 3]].mean()), rel=1e-5)
    assert float(found["moving"]) == 0.75
    cosines = torch.cosine_similarity(z[:, None, 0], z[None, :, 1], dim=2)
    assert float(found["accuracy"]) == float((cosines.argmax(1) == torch.arange(4)).float().mean())


def test_negatives_are_hard_after_their_share_of_the_steps(task: Task) -> None:
    made = task(hard_after=0.3)
    states = []
    for step in range(10):
        states.append(bool(made.is_hard))
        made.after_step(step, 10)
    assert states == [False] * 3 + [True] * 7
    assert bool(task(hard_after=0.0).is_hard)
    never = task(hard_after=1.0)
    never.after_step(9, 10)
    assert not bool(never.is_hard)


def test_short_clips_ask_for_an_encoder_of_video(tiny_clip_encoder: Callable[[], Encoder]) -> None:
    config = Config(**{**SMALL, "clip": 3})
    assert TrackedPatches.encoders_for(config)["encoder"].kind == "video"
    made = TrackedPatches(tiny_clip_encoder(), config, 16)
    example = made.pseudo_label(batch(noise_clips(2, frames=8)), rng())
    assert made(example).shape == (2, 2, 16)
    track, *patches = made.show(example, made(example), 1)[0].inputs
    assert track.shape == example.video.shape[1:]
    assert [clip.shape for clip in patches] == [(3, 3, 16, 16)] * 2
    with pytest.raises(ValueError, match=r"--task\.frames must be at least twice --task\.clip = 10.*got 8; raise it"):
        Config(frames=8, clip=5)


def test_it_learns_to_find_the_other_end_of_a_track(task: Task) -> None:
    """Each thing has a ground of its own, with little in common: of the clips that it learned from."""
    videos = batch(crossings(range(16), frames=8)[0])
    made = task(colour=0.2, degrade=0.0)
    before = judge(made.eval(), [videos] * 6)
    fit(made.train(), lambda step: videos, steps=40, lr=5e-3)
    assert judge(made, [videos] * 6) > before + 0.08


def test_guard_clips_of_one_repeated_frame_give_no_gradient(task: Task) -> None:
    made = task()
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
    assert_at_chance(TrackedPatches(ForensicEncoder(), Config(**SMALL), 16), clips_of, batches=12)


def test_a_run_is_resumed_exactly(tmp_path: Path, write_video: Any) -> None:
    """Also when negatives have become hard."""
    check_run(tmp_path, write_video, "tracked_patches", size=16, task_settings={"frames": 6})
