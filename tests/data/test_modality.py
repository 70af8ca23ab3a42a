"""What each kind of encoder asks of the data."""

from __future__ import annotations

from typing import get_args

from selftaught.data.inputs import Clip
from selftaught.data.modality import MODALITIES, kind_of_task, kinds_of_tasks
from selftaught.encoders.names import Kind


def test_every_kind_of_encoder_says_what_it_needs() -> None:
    assert {kind: set(modality.needs) for kind, modality in MODALITIES.items()} == {
        "image": {"image"},
        "video": {"video"},
        "audio": {"audio"},
    }
    assert set(MODALITIES) == set(get_args(Kind))
    clip = Clip(frames=3, fps=2.0, whole=False)
    cut = {kind: modality.sampling(clip).inputs for kind, modality in MODALITIES.items()}
    assert cut == {kind: modality.inputs for kind, modality in MODALITIES.items()} | {"video": {"video": clip}}


def test_tasks_are_listed_by_the_last_modality_that_they_need() -> None:
    assert kinds_of_tasks() == ["image", "video", "audio-visual"]
    assert kind_of_task({"image", "label"}) == "image"
    assert kind_of_task({"video", "label"}) == "video"
    assert kind_of_task({"video", "audio"}) == "audio-visual"
