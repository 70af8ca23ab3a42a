from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_the_demo_beats_random_weights_within_5_minutes(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "selftaught", "demo", "--out", str(tmp_path / "run"), "--json"]
    result = json.loads(subprocess.check_output(words, text=True))
    assert result["few_labels"]["value"] > result["few_labels"]["random"]["value"] + 5
    assert result["all_labels"]["value"] > result["all_labels"]["random"]["value"]
    assert result["seconds"] < 300
    assert Path(result["report"]).stat().st_size > 10_000
