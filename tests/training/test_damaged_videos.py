"""A folder with broken videos: what is lost is counted, and what is used in part is not counted as lost."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

from selftaught import embed, pretrain
from selftaught.data.files.file_tree import lost_files
from tests.data.decode.test_video_frames import break_packet
from tests.data.store.codecs import ROWS, write

MJPEG = next(made for made in ROWS if made.file == "mjpeg.avi")


def test_a_video_of_which_a_part_is_used_is_no_skipped_file(tmp_path: Path) -> None:
    data = tmp_path / "videos"
    data.mkdir()
    for name in "abcd":
        write(replace(MJPEG, file=f"{name}.avi", count=20), data)
    break_packet(data / "a.avi", number=10)
    (data / "e.avi").write_bytes(b"")
    run = tmp_path / "run"
    summary = pretrain(
        str(data),
        task="frame_order_recognition",
        encoder="timm:test_resnet",
        out=str(run),
        size=32,
        stem="standard",
        frames=8,
        batch_size=2,
        steps=1,
    )
    with (run / "skipped.csv").open() as file:
        listed = {row["path"]: row["reason"] for row in csv.DictReader(file)}
    assert listed == {
        "a.avi": "damaged from 0.4 s to 0.5 s; the rest is used",
        "e.avi": "the file is empty",
    }
    assert (summary["train_samples"] + summary["heldout_samples"], summary["skipped"]) == (4, 1)
    assert "a part of 1 file is damaged or missing, and the rest is used; skipped.csv lists where" in summary["notes"]
    features = embed(str(run), str(data), out=str(tmp_path / "features.csv"))
    assert (features["samples"], features["skipped"]) == (4, 1)


def test_lost_files_are_those_of_which_nothing_is_used() -> None:
    assert lost_files([("a", "damaged from 0.4 s to 0.5 s; the rest is used"), ("b", "no video stream")]) == 1
