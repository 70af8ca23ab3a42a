"""Poses and intrinsics beside video files: by time and by frame, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selftaught.core.settings.groups import DataSettings
from selftaught.data.annotations.poses.kitti_poses import write_poses
from selftaught.data.batch import Sampling
from selftaught.data.computed.with_maps import pack_with_maps
from selftaught.data.inputs import Clip, Given
from selftaught.data.sources.base import Source
from selftaught.data.sources.open import open_source
from tests.data.sources.videos.camera_path import pose_at, table
from tests.data.store.videos import moving

INTRINSICS = "40 0 17\n0 41 15\n0 0 1\n"


def opened(path: Path, *needs: str) -> Source:
    return open_source(str(path), split="train", needs=frozenset({"video", *needs}), held_out=0.0)


def test_a_batch_has_the_poses_of_the_times_of_its_frames(tmp_path: Path, cache: Path, write_video: Any) -> None:
    """The frames of one video are not evenly apart, and begin later than the clock of its container."""
    times = [2, 3, 5, 6, 7, 9, 10, 12]
    write_video(tmp_path / "a.mkv", moving(8, 32), fps=10, times=times)
    (tmp_path / "a.csv").write_text(table(np.arange(-0.3, 1.5, 0.07)))
    write_video(tmp_path / "b.mp4", moving(8, 32, 1), fps=10)
    (tmp_path / "b_poses.txt").write_text(write_poses(np.stack([pose_at(0.3 * t) for t in range(8)])))
    (tmp_path / "intrinsics.txt").write_text(INTRINSICS)
    source = opened(tmp_path, "pose", "intrinsics")
    inputs = {"clip": Clip(frames=8), "pose": Given("pose"), "intrinsics": Given("intrinsics")}
    settings = DataSettings(path=str(tmp_path), store_size=16, workers=1)
    samples = pack_with_maps(source, settings, Sampling(inputs=inputs), size=16, title="packing", is_shown=False)
    batch = samples.read(np.array([0, 1]), np.full((2, 3), 0.5))
    since = (np.array(times) - times[0]) / 10
    assert np.allclose(batch["pose"][0], [pose_at(second) for second in since.tolist()], atol=1e-5)
    assert np.allclose(batch["pose"][1], [pose_at(0.3 * t) for t in range(8)], atol=1e-5)
    assert np.allclose(batch["intrinsics"][0, 0], np.array([[20, 0, 8.5], [0, 20.5, 7.5], [0, 0, 1]]), atol=1e-5)


@pytest.mark.parametrize("place", ["a.csv", "a_poses.csv", "poses/a.csv", "poses/a_poses.csv"])
def test_places(tmp_path: Path, write_video: Any, place: str) -> None:
    write_video(tmp_path / "a.mp4", moving(4, 32), fps=10)
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text(table(np.arange(0, 0.5, 0.1)))
    assert np.allclose(opened(tmp_path, "pose").maps["pose"].read(0, 0.2), pose_at(0.2), atol=1e-6)


def test_one_wrong_video_is_skipped_and_where_all_are_the_first_is_named(tmp_path: Path, write_video: Any) -> None:
    for name in ("a", "b"):
        write_video(tmp_path / f"{name}.mp4", moving(4, 32), fps=10)
    (tmp_path / "b.csv").write_text(table(np.arange(0, 0.5, 0.1)))
    source = opened(tmp_path, "pose")
    assert [entry.key for entry in source.entries] == ["b.mp4"]
    lacks = (
        "poses are needed, but a.mp4 has none; put a.csv (time, x, y, z, qx, qy, qz, qw) or a_poses.txt (12 numbers "
        "for each frame) beside it"
    )
    assert ("a.mp4", lacks) in source.skipped
    (tmp_path / "b.csv").write_text(table(np.arange(100, 101, 0.1)))
    (tmp_path / "a_poses.txt").write_text(write_poses(np.stack([pose_at(0)] * 5)))
    why = "a_poses.txt has 5 poses, but a.mp4 has 4 frames; give one line for each frame"
    with pytest.raises(ValueError, match=rf"^{why} \(none of the 2 videos of .* can serve\)$"):
        opened(tmp_path, "pose")
    (tmp_path / "a.mp4").unlink()
    with pytest.raises(
        ValueError, match=r"^b\.csv covers 100\.000 to 100\.900 s, but b\.mp4 lasts from 0 to 0\.300 s;"
    ):
        opened(tmp_path, "pose")
    with pytest.raises(ValueError, match=r"^intrinsics of the camera are needed, but b\.mp4 has none; put an"):
        opened(tmp_path, "intrinsics")


def test_a_frame_beyond_the_poses_is_named(tmp_path: Path, write_video: Any) -> None:
    write_video(tmp_path / "a.mp4", moving(8, 32), fps=10)
    (tmp_path / "a.csv").write_text(table(np.arange(0, 0.35, 0.1)))
    given = opened(tmp_path, "pose").maps["pose"]
    assert np.allclose(given.read(0, 0.4), pose_at(0.4), atol=1e-6)  # a step beyond the last pose
    with pytest.raises(ValueError, match=r"^a\.csv has no pose at 0\.500 s, where a\.mp4 has a frame$"):
        given.read(0, 0.5)


def test_changed_poses_change_the_fingerprint(tmp_path: Path, write_video: Any) -> None:
    write_video(tmp_path / "a.mp4", moving(4, 32), fps=10)
    found = []
    for step in (0.1, 0.11):
        (tmp_path / "a.csv").write_text(table(np.arange(0, 0.5, step)))
        found.append(opened(tmp_path, "pose").maps["pose"].fingerprint)
    assert found[0] != found[1]
