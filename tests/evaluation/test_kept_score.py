from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from selftaught.evaluation.kept_score import figures, keep_score, kept_score, write_files
from selftaught.evaluation.probes.base import Score


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    score = Score(
        value=math.nan, stage="", stages={"a": 1.5}, outcomes=np.ones(3, np.float32), files={"b.png": b"1", "a": b"2"}
    )
    keep_score(score, tmp_path, "key")
    back = kept_score(tmp_path, "key")
    assert back is not None
    assert math.isnan(back.value)
    assert dict(back.files) == dict(score.files)
    assert (back.stages, back.outcomes.tolist() if back.outcomes is not None else None) == ({"a": 1.5}, [1, 1, 1])
    assert kept_score(tmp_path, "other") is None


@pytest.mark.parametrize("ending", [".json", "-outcomes.npy"])
def test_a_damaged_score_is_none(tmp_path: Path, ending: str) -> None:
    keep_score(Score(value=1.0, stage="", stages={}, outcomes=np.ones(300, np.float32)), tmp_path, "key")
    assert kept_score(tmp_path, "key") is not None
    file = tmp_path / f"key{ending}"
    file.write_bytes(file.read_bytes()[:-9])
    assert kept_score(tmp_path, "key") is None


def test_a_metric_that_does_not_exist_is_null() -> None:
    assert figures(Score(value=math.nan, stage="", stages={}))["value"] is None
    plain = figures(Score(value=2.0, stage="s", stages={"s": 2.0}, files={"a": b"1"}))
    assert json.loads(json.dumps(plain))["value"] == 2.0
    assert not {"files", "outcomes"} & set(plain)


def test_files_of_before_go(tmp_path: Path) -> None:
    write_files({"old": b"1"}, tmp_path / "drawn")
    write_files({"new": b"2"}, tmp_path / "drawn")
    assert [p.name for p in (tmp_path / "drawn").iterdir()] == ["new"]
    write_files({}, tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()
