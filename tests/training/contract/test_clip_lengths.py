"""The clip an encoder is evaluated on is as long as those it was trained on."""

from __future__ import annotations

import pytest

from selftaught import check_task
from selftaught.data.inputs import Clip
from selftaught.tasks.catalogue import list_tasks
from selftaught.tasks.resolve import resolve_task
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


@pytest.mark.parametrize("task", [task.name for task in list_tasks() if any(o.name == "clip" for o in task.options)])
def test_a_short_clip_is_what_the_encoder_of_frames_is_evaluated_on(task: str) -> None:
    of_model = {"model": "mcnet"} if task == "video_prediction" else {}
    spec = resolve_task(task, {"clip": 3, **of_model})
    assert spec.encoders["encoder"].kind == "video"
    assert spec.clip is not None
    assert spec.clip.frames == 3
