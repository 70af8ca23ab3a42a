"""The benchmark of video runs on a few drawn frames, and its figures are those of what it read."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def _scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])


@pytest.mark.usefixtures("_scripts")
def test_rows_measure_frames_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import video_throughput

    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(video_throughput, "READING", 0.05)
    folder = video_throughput.drawn(tmp_path / "videos", 1, 20, height=64, width=96)
    args = argparse.Namespace(data=folder, steps=1)
    assert len(video_throughput.videos_of(args)) == 1
    for row in ("decode", "pack", "read raw", "read jpeg", "flow"):
        assert video_throughput.INSIDE[row](args) > 0, row
    assert video_throughput.memory(args)["hours"] == round(20 / 90_000, 3)


@pytest.mark.usefixtures("_scripts")
def test_the_plain_loop_reads_clips(tmp_path: Path) -> None:
    import video_throughput
    from video_training import Clips

    folder = video_throughput.drawn(tmp_path / "videos", 1, 20, height=64, width=96)
    assert Clips(folder, lambda clip: clip)[0].shape == (16, 3, 64, 96)
