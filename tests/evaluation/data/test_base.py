"""What is asked of the data for a probe and an encoder."""

from __future__ import annotations

from pathlib import Path

import pytest

from selftaught.data.inputs import Clip, Image
from selftaught.evaluation.data.base import check_source
from tests.evaluation.own_data import asked, config, pictures


def test_samples_are_cut_for_the_encoder_unless_the_probe_says_how(tmp_path: Path) -> None:
    assert asked(tmp_path).sampling.inputs == {"image": Image()}
    assert asked(tmp_path, kind="video").sampling.inputs == {"video": Clip(frames=16, whole=False)}
    assert asked(tmp_path, needs=frozenset({"video", "label"})).sampling.inputs == {
        "video": Clip(frames=16, whole=False)
    }
    own = {"clip": Clip(frames=4, fps=8)}
    assert asked(tmp_path, inputs=own).sampling.inputs == own
    with pytest.raises(ValueError, match="the probe reads image of each sample, which no encoder of video takes"):
        _ = asked(tmp_path, kind="video", inputs={"image": Image()}).sampling


def test_what_the_data_lack_is_said_before_they_are_read(tmp_path: Path) -> None:
    pictures(tmp_path / "cat", 4, 0)
    pictures(tmp_path / "dog", 4, 1)
    check_source(asked(tmp_path))
    for more in ({"kind": "video"}, {"needs": frozenset({"video", "label"})}, {"inputs": {"clip": Clip(frames=2)}}):
        with pytest.raises(ValueError, match=r"^videos are needed, but "):
            check_source(asked(tmp_path, **more))


def test_the_share_without_a_test_part_is_the_runs(tmp_path: Path) -> None:
    assert asked(tmp_path).held_out == config("elsewhere").data.held_out
