"""Every task on videos goes on after a stop as if there had been none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selftaught.tasks.catalogue import list_tasks, task_info
from selftaught.tasks.resolve import resolve_task
from tests.fitting_encoder import fitting
from tests.tasks.clips import check_run, crossing

TASKS = tuple(task.name for task in list_tasks() if task.needs == ("video",))
OF_SOUND = tuple(task.name for task in list_tasks() if "audio" in task.needs)
MODELS = ("convlstm", "mcnet")
"""Of `video_prediction`, beside its default."""
SMALL = {"image": "timm:test_resnet", "video": "mean:timm:test_resnet"}


def small(task: str) -> dict[str, int]:
    """Settings that make the task's own layers small."""
    return {option.name: 16 for option in task_info(task).options if option.name in ("width", "hidden")}


def long_crossing(seed: int) -> np.ndarray:
    """72 frames, as many as any task takes by default."""
    return crossing(seed, frames=72, side=48, square=14)[0]


@pytest.mark.slow  # three runs of each task, 3 to 10 s
@pytest.mark.parametrize(
    ("task", "settings"), [*((t, {}) for t in TASKS), *(("video_prediction", {"model": m}) for m in MODELS)]
)
def test_a_run_is_resumed_exactly(task: str, settings: dict[str, Any], tmp_path: Path, write_video: Any) -> None:
    settings = small(task) | settings
    encoder = fitting(task, SMALL[resolve_task(task, settings).encoders["encoder"].kind])
    check_run(tmp_path, write_video, task, video=long_crossing, encoder=encoder, task_settings=settings)


@pytest.mark.slow  # three runs of each task, 3 to 10 s
@pytest.mark.parametrize("task", OF_SOUND)
def test_a_run_with_sound_is_resumed_exactly(task: str, tmp_path: Path, write_video: Any) -> None:
    """Also with what is computed of all sounds before the first step, and pairs that become hard in the middle."""

    def write(path: Path, frames: np.ndarray) -> None:
        rate, draw = 16000, np.random.default_rng(len(path.stem) + frames[0].sum())
        tone = np.sin(2 * np.pi * draw.uniform(200, 4000) * np.arange(4 * rate) / rate)
        noisy = 0.3 * tone + 0.1 * draw.standard_normal(4 * rate)
        write_video(path, frames, fps=18, sound=noisy.astype(np.float32), rate=rate)

    kind = resolve_task(task, {}).encoders["encoder"].kind
    clips = {"frames": 8} if kind == "video" else {}
    check_run(tmp_path, write, task, video=long_crossing, encoder=SMALL[kind], task_settings=small(task) | clips)
