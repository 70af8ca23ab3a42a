"""KITTI's raw recordings: the pose of the camera from a drive that is known, by names and by times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from selftaught.data.sources.base import Source
from selftaught.data.sources.open import open_source
from tests.data.sources.videos.frames_of import write_clips

DRIVE = "2011_09_26/2011_09_26_drive_0001_sync"
IMU = "R: 1 0 0 0 1 0 0 0 1\nT: 0 0 0\n"
VELO = "R: 0 -1 0 0 0 -1 1 0 0\nT: 0 0 0\n"
CAMERAS = "R_rect_00: 1 0 0 0 1 0 0 0 1\nP_rect_02: 40 0 17 0 0 40 15 0 0 0 1 0\n"
METRE = np.degrees(1 / 6378137)


def opened(path: Path, *needs: str) -> Source:
    return open_source(str(path), split="train", needs=frozenset({"video", *needs}), held_out=0.0)


def write(root: Path, seconds: np.ndarray, *, frames: int = 8, times: bool = False) -> Path:
    """The car drives north at 10 m a second and turns left by 0.1 radians a second, the frames are 0.1 s apart."""
    write_clips(root, f"{DRIVE}/image_02/data", count=frames, name="{:010d}.png")
    for image in sorted((root / DRIVE / "image_02" / "data").iterdir()):  # from 0 on
        image.rename(image.with_name(f"{int(image.stem) - 1:010d}.png"))
    oxts = root / DRIVE / "oxts"
    (oxts / "data").mkdir(parents=True)
    for t, second in enumerate(seconds.tolist()):
        values = (49 + 10 * second * METRE, 8.4, 110, 0, 0, np.pi / 2 + 0.1 * second, 0, 0)
        (oxts / "data" / f"{t:010d}.txt").write_text(" ".join(f"{value:.15g}" for value in values))
    if times:
        for folder, moments in (("image_02", 0.1 * np.arange(frames)), ("oxts", seconds)):
            stamps = np.datetime64("2011-09-26T13:02:25", "ns") + np.round(1e9 * moments).astype("timedelta64[ns]")
            (root / DRIVE / folder / "timestamps.txt").write_text("\n".join(str(s).replace("T", " ") for s in stamps))
    for name, text in (("imu_to_velo", IMU), ("velo_to_cam", VELO), ("cam_to_cam", CAMERAS)):
        (root / "2011_09_26" / f"calib_{name}.txt").write_text(text)
    return root


def check(poses: np.ndarray, seconds: np.ndarray, *, begin: float = 0) -> None:
    for pose, second in zip(poses, seconds.tolist(), strict=True):
        turn = 0.1 * second
        # East, north, up: right of the camera is east at first, down is down, forward is north.
        expected = np.array([[np.cos(turn), 0, -np.sin(turn)], [np.sin(turn), 0, np.cos(turn)], [0, -1, 0]])
        assert np.allclose(pose[:3, :3], expected, atol=1e-6)
        assert np.allclose(pose[:3, 3], [0, 10 * (second - begin), 0], atol=1e-4)


def test_frames_and_poses_of_one_name_belong_together(tmp_path: Path) -> None:
    seconds = 0.1 * np.arange(8)
    source = opened(write(tmp_path, seconds), "pose", "intrinsics")
    assert [entry.key for entry in source.entries] == [f"{DRIVE}/image_02/data"]
    check(np.stack([source.maps["pose"].read(0, t / 25) for t in range(8)]), seconds)
    assert np.allclose(source.maps["intrinsics"].read(0, 0.0), [[40, 0, 17], [0, 40, 15], [0, 0, 1]])


def test_poses_of_another_rate_are_found_by_their_times(tmp_path: Path) -> None:
    source = opened(write(tmp_path, np.arange(-0.015, 0.75, 0.01), times=True), "pose")
    check(np.stack([source.maps["pose"].read(0, t / 25) for t in range(8)]), 0.1 * np.arange(8), begin=-0.015)


def test_what_lacks_is_one_sentence(tmp_path: Path) -> None:
    write(tmp_path, 0.1 * np.arange(7))
    with pytest.raises(ValueError, match=rf"^{DRIVE}/oxts/data/ has 7 poses, but {DRIVE}/image_02/data has 8 frames;"):
        opened(tmp_path, "pose")
    file = tmp_path / DRIVE / "oxts/data/0000000003.txt"
    file.write_text("49 8.4 nan 0 0 0")
    with pytest.raises(ValueError, match=r"^row 4 of .*/oxts has numbers that are not finite"):
        opened(tmp_path, "pose")
    (tmp_path / "2011_09_26" / "calib_velo_to_cam.txt").unlink()
    file.write_text("49 8.4 110 0 0 0")
    with pytest.raises(ValueError, match=r"^the calibration is needed, but there is no calib_velo_to_cam\.txt in "):
        opened(tmp_path, "pose")
