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
    from drawn_videos import drawn

    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(video_throughput, "READING", 0.05)
    folder = drawn(tmp_path / "videos", 1, 20, height=64, width=96)
    args = argparse.Namespace(data=folder, steps=1)
    assert len(video_throughput.videos_of(args)) == 1
    for row in ("decode", "pack", "read raw", "read jpeg", "flow"):
        assert min(video_throughput.INSIDE[row](args).values()) > 0, row
    assert video_throughput.memory(args)["hours"] == round(20 / 90_000, 3)


@pytest.mark.usefixtures("_scripts")
def test_what_is_missed_by_either_clock_is_said() -> None:
    from video_throughput import missed, ratio

    values = [{"wall": 4.0, "cpu": 3.0}, {"wall": 2.0, "cpu": 5.0}, {"wall": 3.0, "cpu": 4.0}]
    assert ratio(values, [{"wall": 2.0, "cpu": 8.0}], "wall") == 1.5
    assert ratio(values, [{"wall": 2.0, "cpu": 8.0}], "cpu") == 0.5
    result = {
        "packing ratios": {"pack/decode": {"wall": 0.9, "cpu": 0.5}},
        "flow ratios": {"flow/bare flow": {"wall": 0.95, "cpu": 0.9}},
        "memory": {"ratio": 1.1},
        "tasks": {"video_gan": {"rss_gb": 6.5}, "convlstm": None},
    }
    assert missed(result) == [
        "pack/decode is 0.9 by the wall and 0.5 by CPU time, target 0.8",
        "video_gan takes 6.5 GB, target 6.0",
    ]


@pytest.mark.usefixtures("_scripts")
def test_the_plain_loop_reads_clips(tmp_path: Path) -> None:
    from drawn_videos import drawn
    from video_training import Clips

    folder = drawn(tmp_path / "videos", 1, 20, height=64, width=96)
    assert Clips(folder, lambda clip: clip)[0].shape == (16, 3, 64, 96)
