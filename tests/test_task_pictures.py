"""The pictures of what tasks see: each video task has one that moves, is small, and is on its page."""

from __future__ import annotations

import itertools
import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence

from selftaught.tasks.catalogue import list_tasks

DOCS = Path(__file__).resolve().parents[1] / "docs"
VIDEO = [task.name for task in list_tasks() if task.kind == "video"]
MOST_BYTES = 100_000


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(DOCS / "task_pictures.py"))


def test_every_video_task_has_a_picture_and_no_other_file_is_there(script: dict[str, Any]) -> None:
    drawn = {path.name for path in (DOCS / "pictures" / "tasks").iterdir()}
    assert drawn == {f"{task}.webp" for task in script["PICTURES"]}
    assert set(VIDEO) <= set(script["PICTURES"])


@pytest.mark.parametrize("task", VIDEO)
def test_it_moves_is_small_and_is_on_the_page(task: str, script: dict[str, Any]) -> None:
    path = DOCS / "pictures" / "tasks" / f"{task}.webp"
    assert path.stat().st_size <= MOST_BYTES == script["MOST_BYTES"]
    with Image.open(path) as image:
        assert image.format == "WEBP"
        assert image.width <= 800
        assert image.info["loop"] == 0, "for ever"
        frames = [np.asarray(frame.convert("L").reduce(2), np.float32) for frame in ImageSequence.Iterator(image)]
    changes = 1 if task == "unsupervised_flow" else 2  # This one sees two frames.
    assert len(frames) > changes
    moved = [np.abs(one - other).mean() for one, other in itertools.pairwise(frames)]
    assert sum(distance > 0.2 for distance in moved) >= changes, "more than the noise of the format"
    page = (DOCS / "tasks" / f"{task}.md").read_text(encoding="utf-8")
    assert f"](../pictures/tasks/{task}.webp)" in page
    assert script["command_of"](task) in page


def test_every_task_is_in_the_list_once() -> None:
    page = (DOCS / "tasks" / "README.md").read_text(encoding="utf-8")
    assert {task.name: page.count(f"[`{task.name}`]({task.name}.md)") for task in list_tasks()} == {
        task.name: 1 for task in list_tasks()
    }


def test_clips_begin_together_and_the_shorter_one_stands_still_at_its_end(
    script: dict[str, Any], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    (run / "pictures").mkdir(parents=True)
    for name, greys in {"a": (0, 250), "b": (50, 100, 100, 200)}.items():
        first, *others = [Image.new("RGB", (128, 128), (grey,) * 3) for grey in greys]
        first.save(run / "pictures" / f"{name}.webp", save_all=True, append_images=others, duration=125, lossless=True)
    sample = {"inputs": ["a.webp", "b.webp"], "pseudo_label": "order 2 1", "prediction": "order 1 2"}
    (run / "pictures" / "pictures.json").write_text(json.dumps({"samples": [sample]}))
    (run / "config.json").write_text("{}")
    pages = script["draw"](run, (0,))
    assert [duration for _, duration in pages] == [125, 125, 125, 700], "equal frames, stored as one, last as long"
    shown = np.stack([np.asarray(page) for page, _ in pages])
    assert shown[:, 100, 8 + 64, 0].tolist() == [0, 250, 250, 250]
    assert shown[:, 100, 8 + 128 + 8 + 64, 0].tolist() == [50, 100, 100, 200]
    words = shown[:, 40:, 8 + 128 + 8 + 128 :]
    assert (words == words[0]).all()
    assert (words[0] < 100).any(), "dark ink"
    assert len({script["save"](pages, tmp_path / f"{n}.webp").read_bytes() for n in range(2)}) == 1
