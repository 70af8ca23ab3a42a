"""Names of other libraries lead to tasks that are there."""

from __future__ import annotations

import pytest

from selftaught.tasks.catalogue import list_tasks
from selftaught.tasks.other_names import _NEAREST, nearest_task


def test_every_nearest_task_is_there_and_no_name_has_two() -> None:
    known = {task.name for task in list_tasks()}
    assert set(_NEAREST) <= known
    names = [name for text in _NEAREST.values() for name in text.split()]
    assert len(names) == len(set(names))
    assert not known & set(names)


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("simsiam", "simclr"), ("BYOL", "moco"), ("mocov2", "moco"), ("moco_v3", "moco"), ("RotNet", "rotation"),
        ("deepcluster-v2", "clustering"), ("MAE", "mae"), ("barlow_twins", "simclr"), ("dinov2", "moco"),
        ("Video-MAE", "video_mae"), ("3D-RotNet", "clip_rotation"), ("linear", None), ("v2", None),
    ],
)  # fmt: skip
def test_spelling_and_version_do_not_matter(name: str, task: str | None) -> None:
    assert nearest_task(name) == task
