"""Rotation of clips: its four angles, its guards, and learning from what falls."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from selftaught.encoders.base import Encoder
from selftaught.ops.frames import whole_areas
from selftaught.tasks.temporal import clip_rotation
from selftaught.tasks.temporal.clip_rotation import ClipRotation, Example
from tests.tasks.clip_guards import ForensicEncoder, assert_at_chance, border_clips, codec_clips, noise_clips
from tests.tasks.clips import batch, check_halves, check_run, crossings, fit, judge, rng

Config = ClipRotation.Config
Task = Callable[..., ClipRotation]


@pytest.fixture
def task(tiny_clip_encoder: Callable[[], Encoder]) -> Task:
    def make(**settings: Any) -> ClipRotation:
        return ClipRotation(tiny_clip_encoder(), Config(**{"frames": 4, **settings}), 16)

    return make


def clips(n: int = 3, side: int = 24) -> Tensor:
    return torch.randint(30, 256, (n, 4, 3, side, side), dtype=torch.uint8, generator=rng(1))


def test_every_clip_appears_at_every_angle_with_its_number(task: Task) -> None:
    example = task().pseudo_label(batch(clips()), rng())
    assert example.clips.shape == (12, 3, 4, 16, 16)
    assert example.turns.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert example.clips.is_contiguous(memory_format=torch.channels_last_3d)
    for row in range(12):
        pixels = example.clips[row % 3].tolist()
        for _ in range(int(example.turns[row])):  # a quarter turn counter-clockwise: row r is column -1 - r of before
            pixels = [[[[image[j][15 - i] for j in range(16)] for i in range(16)] for image in c] for c in pixels]
        assert example.clips[row].tolist() == pixels


def test_all_frames_of_a_clip_are_cut_alike(task: Task) -> None:
    still = clips(20)[:, :1].expand(-1, 4, -1, -1, -1)
    example = task().pseudo_label(batch(still), rng())
    assert torch.allclose(example.clips, example.clips[:, :, :1].expand_as(example.clips), atol=1e-5)


def test_loss_against_loops(task: Task) -> None:
    made = task().eval()
    example = made.pseudo_label(batch(clips()), rng())
    with torch.no_grad():
        logits = made(example)
    total, hits = 0.0, 0
    for turns in range(4):
        for n in range(3):
            scores = logits[turns * 3 + n].tolist()
            total -= scores[turns] - math.log(sum(math.exp(score) for score in scores))
            hits += max(range(4), key=scores.__getitem__) == turns
    found = made.loss(logits, example)
    assert float(found["loss"]) == pytest.approx(total / 12, rel=1e-5)
    assert float(found["accuracy"]) == pytest.approx(hits / 12)
    assert made.chance(8) == 0.25


def test_two_processes_are_one(task: Task) -> None:
    made = task()
    whole = made.pseudo_label(batch(clips(4)), rng())
    rows = torch.arange(16).view(4, 4)
    halves = [Example(whole.clips[own], whole.turns[own]) for own in (rows[:, :2].flatten(), rows[:, 2:].flatten())]
    check_halves(made, whole, halves)


def test_shown_clips_are_of_all_angles(task: Task) -> None:
    made = task()
    example = made.pseudo_label(batch(clips()), rng())
    shown = made.show(example, made(example), 4)
    assert [sample.pseudo_label for sample in shown] == ["0°", "90°", "180°", "270°"]
    assert all(clip.shape == (4, 3, 16, 16) and 0 <= clip.min() <= clip.max() <= 1 for s in shown for clip in s.inputs)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"least_side": 0.0}, r"--task\.least-side must be in \(0, 1\]"), ({"frames": 0}, r"--task\.frames must be at")],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Config(**settings)


def test_it_learns_which_way_things_fall(task: Task) -> None:
    """The ground and the square look alike under every angle; how it moves does not."""
    videos = crossings(range(0, 120, 2), frames=6)[0].transpose(-1, -2).contiguous()
    made = task(frames=6)
    fit(made, lambda step: batch(videos[:48]), steps=30, lr=5e-3)
    assert judge(made, [batch(videos[48:])] * 4) > 0.7


CUES: dict[str, Callable[..., Tensor]] = {
    "noise": noise_clips,
    "bars": partial(border_clips, content="noise", border="still"),
    "growing bars": partial(border_clips, content="noise", border="grow"),
    "bars that appear": partial(border_clips, content="noise", border="blink"),
    "edge": partial(border_clips, content="noise", border="edge"),
    "codec": codec_clips,
    "codec on noise": partial(codec_clips, content="noise"),
}


@pytest.mark.parametrize("clips_of", CUES.values(), ids=CUES)
def test_guard_neither_bars_nor_codec_give_away_the_angle(clips_of: Callable[..., Tensor]) -> None:
    assert_at_chance(ClipRotation(ForensicEncoder(4), Config(frames=4), 16), clips_of)


@pytest.mark.parametrize(("guard", "cue"), [("without_bars", "growing bars"), ("coarse_colour", "codec on noise")])
def test_without_its_guard_the_angle_is_given_away(guard: str, cue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_rotation, guard, whole_areas if guard == "without_bars" else lambda images: images)
    with pytest.raises(AssertionError, match=r"0\.[45]\d+, at chance it is 0\.250"):
        assert_at_chance(ClipRotation(ForensicEncoder(4), Config(frames=4), 16), CUES[cue])


def test_a_run_of_a_clip_encoder_is_resumed_exactly(tmp_path: Path, write_video: Any) -> None:
    settings: dict[str, Any] = {
        "encoder": "mean:timm:test_resnet",
        "size": 32,
        "batch_size": 2,
        "task_settings": {"frames": 2},
    }
    run = check_run(tmp_path, write_video, "clip_rotation", **settings)
    assert (run / "pictures" / "pictures.json").exists()
