"""The clip an encoder is evaluated on is as long as those it was trained on."""

from __future__ import annotations

import pytest

from selftaught import check_task
from selftaught.data.inputs import Clip
from selftaught.tasks.temporal.clip_rotation import ClipRotation
from selftaught.tasks.temporal.cubic_puzzle import CubicPuzzle


def test_a_clip_of_another_length_than_those_of_training_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"encoder": "mean:timm:test_resnet", "size": 32, "task_settings": {"frames": 3}}
    check_task(ClipRotation, **small)  # type: ignore[arg-type]
    monkeypatch.setattr(ClipRotation, "clip_for", classmethod(lambda cls, config: Clip(frames=5)))
    with pytest.raises(ValueError, match=r"trained on clips of 3 frames, but would be evaluated on clips of 5; return"):
        check_task(ClipRotation, **small)  # type: ignore[arg-type]


def test_a_part_of_the_clip_is_seen_by_the_encoder_of_puzzles() -> None:
    assert CubicPuzzle.clip_for(CubicPuzzle.Config(frames=4, cell=6, stride=2)) == Clip(frames=4, stride=2)
