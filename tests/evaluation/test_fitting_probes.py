"""The probes that are chosen by the data: of images, of videos, of frames with masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from selftaught.core.settings.groups import DataSettings, NetworkSettings
from selftaught.encoders.names import Kind
from selftaught.evaluation.data.base import Asked
from selftaught.evaluation.fitting_probes import evaluate_fitting, fitting_probes
from selftaught.evaluation.subject import Subject
from tests.evaluation.davis import write_videos
from tests.evaluation.labelled_videos import write_actions
from tests.evaluation.moving_squares import TwoClipStages
from tests.evaluation.own_data import pictures


def fitting(path: Path, kind: Kind) -> tuple[str, ...]:
    asked = Asked(data=DataSettings(path=str(path)), size=16, kind=kind, needs=frozenset({"label"}))
    return fitting_probes(asked)


def test_labelled_images_and_what_has_no_labels_are_for_the_linear_probe(tmp_path: Path) -> None:
    for name in ("a", "b"):
        pictures(tmp_path / "labelled" / name, 3, 0)
    pictures(tmp_path / "flat", 4, 0)
    assert fitting(tmp_path / "labelled", "image") == ("linear",)
    assert fitting(tmp_path / "flat", "image") == ("linear",)
    assert fitting(tmp_path / "labelled", "audio") == ("linear",)


def test_videos_have_their_own_probes_with_both_kinds_of_encoders(tmp_path: Path) -> None:
    write_actions(tmp_path, 4)
    for kind in ("image", "video"):
        assert fitting(tmp_path, kind) == ("action", "clip_retrieval")


def test_frames_with_masks_are_followed_unless_these_are_of_classes(tmp_path: Path) -> None:
    write_videos(tmp_path, {"bear": 1, "cat": 1})
    assert fitting(tmp_path, "image") == ("mask_propagation",)
    (tmp_path / "classes.txt").write_text("ground\nthing\n")
    assert fitting(tmp_path, "image") != ("mask_propagation",)


def test_all_that_fit_are_measured_and_with_settings_the_first_alone(tmp_path: Path) -> None:
    write_actions(tmp_path / "data", 8)
    encoder = TwoClipStages().eval()
    encoder.clip_seen = {"frames": 4}
    subject = Subject(
        name="tiny", encoder=encoder, network=NetworkSettings(encoder="r3d_18", size=16), folder=tmp_path / "out"
    )
    object.__setattr__(subject, "random", lambda: TwoClipStages(1).eval())
    data = DataSettings(path=str(tmp_path / "data"))
    how: dict[str, Any] = {"test_share": 0.5, "accelerator": "cpu"}
    found = evaluate_fitting(subject, data, probe="auto", **how)
    assert found["probe"] == "action"
    assert [one["probe"] for one in found["further"]] == ["clip_retrieval"]
    alone = evaluate_fitting(subject, data, probe="auto", settings={"clips": 2}, **how)
    assert (alone["probe"], alone["more"]["clips"]) == ("action", 2)
    assert "further" not in alone
    with pytest.raises(ValueError, match="unknown setting of probe 'action' 'clipss'"):
        evaluate_fitting(subject, data, probe="auto", settings={"clipss": 2}, **how)
