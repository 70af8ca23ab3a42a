"""What the tasks of a comparison are measured beside."""

from __future__ import annotations

from typing import Any

import pytest

from selftaught.report.facts.references import clip_words, is_reference, random_references


def row(task: str, encoder: str, random: float, **clip: float) -> dict[str, Any]:
    return {"task": task, "clip": clip, "probe": {"encoder": encoder, "random": {"value": random, "stage": "pooled"}}}


def names(rows: list[dict[str, Any]], table: dict[str, Any] | None = None) -> dict[str, float]:
    return {name: result["value"] for name, result in random_references(table or {}, rows).items()}


def test_tasks_that_share_their_random_weights_have_one_row() -> None:
    rows = [row("a", "r3d_18", 30.0, frames=16), row("b", "r3d_18", 30.0, frames=16)]
    assert names(rows) == {"random weights": 30.0}
    assert names([], {"random": {"value": 31.0}}) == {"random weights": 31.0}, "of an earlier version"
    assert names([{"task": "a", "probe": None}], {"random": None}) == {}


def test_each_encoder_and_each_clip_has_random_weights_of_its_own() -> None:
    rows = [row("a", "r3d_18", 30.0, frames=16, stride=2), row("b", "r3d_18", 25.0, frames=8, fps=4.0)]
    rows += [row("c", "resnet18", 40.0), row("d", "resnet18", 40.0)]
    assert names(rows, {"random": {"value": 40.0}}) == {
        "random weights, r3d_18 (16 frames, stride 2)": 30.0,
        "random weights, r3d_18 (8 frames, 4 fps)": 25.0,
        "random weights, resnet18": 40.0,
    }
    assert all(map(is_reference, names(rows)))
    assert not is_reference("rotation")


@pytest.mark.parametrize(
    ("clip", "words"),
    [
        ({"frames": 16, "stride": 1}, "16 frames"),
        ({"frames": 8, "fps": 2.5}, "8 frames, 2.5 fps"),
        ({}, ""),
        (None, ""),
    ],
)
def test_clips_in_words(clip: object, words: str) -> None:
    assert clip_words(clip) == words
