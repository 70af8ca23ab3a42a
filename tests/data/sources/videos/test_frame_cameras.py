"""Poses, intrinsics and depth maps of folders of frames: those of KITTI and 7-Scenes, in batches, and what is wrong."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from selftaught.core.settings.groups import DataSettings
from selftaught.data.annotations.poses.kitti_poses import write_intrinsics, write_poses
from selftaught.data.batch import Sampling
from selftaught.data.computed.with_maps import pack_with_maps
from selftaught.data.inputs import Clip, Given
from selftaught.data.sources.base import Source
from selftaught.data.sources.open import open_source
from tests.data.sources.videos.frames_of import write_clips

INTRINSICS = np.array([[40.0, 0, 17], [0, 41, 15], [0, 0, 1]])


def track(count: int, seed: int = 0) -> np.ndarray:
    """(count, 4, 4): a camera that turns and goes forwards."""
    poses = np.tile(np.eye(4), (count, 1, 1))
    for t, pose in enumerate(poses):
        pose[:3, :3] = cv2.Rodrigues(np.array([0.0, 0.02 * t, 0.01 * seed]))[0]
        pose[:3, 3] = (0.1 * seed, 0, 0.5 * t)
    return poses


def opened(path: Path, *needs: str) -> Source:
    return open_source(str(path), split="train", needs=frozenset({"video", *needs}), held_out=0.0)


def kitti(root: Path, count: int = 8) -> Path:
    write_clips(root, "sequences/00/image_2", "sequences/01/image_2", count=count, name="{:06d}.png")
    (root / "poses").mkdir()
    for seed, name in enumerate(("00", "01")):
        (root / "poses" / f"{name}.txt").write_text(write_poses(track(count, seed)))
        calibration = "".join(write_intrinsics(INTRINSICS + np.diag([k, k, 0]), f"P{k}") for k in range(3))
        (root / "sequences" / name / "calib.txt").write_text(calibration)
    return root


def scenes(root: Path, count: int = 8) -> Path:
    """As of 7-Scenes: all files of a sequence in one folder."""
    write_clips(root, "seq-01", "seq-02", count=count, name="frame-{:06d}.color.png")
    for seed, name in enumerate(("seq-01", "seq-02")):
        for t, pose in enumerate(track(count, seed), 1):
            file = root / name / f"frame-{t:06d}.pose.txt"
            file.write_text("\n".join(" ".join(map(str, row)) for row in pose))
            depth = np.full((32, 32), 1000 * (seed + 1) + t, np.uint16)
            cv2.imwrite(str(root / name / f"frame-{t:06d}.depth.png"), depth)
    return root


def test_kitti_gives_a_batch_its_poses_and_intrinsics(cache: Path, tmp_path: Path) -> None:
    source = opened(kitti(tmp_path), "pose", "intrinsics")
    inputs = {"clip": Clip(frames=3), "pose": Given("pose"), "intrinsics": Given("intrinsics")}
    settings = DataSettings(path=str(tmp_path), store_size=16, workers=1)
    samples = pack_with_maps(source, settings, Sampling(inputs=inputs), size=16, title="packing", is_shown=False)
    batch = samples.read(np.array([0, 1]), np.array([[0.5, 0.5, 0.0], [0.5, 0.5, 0.999]]))
    assert np.allclose(batch["pose"], np.stack([track(8)[:3], track(8, 1)[5:]]), atol=1e-6)
    # P2 is that of image_2; half the size
    assert np.allclose(batch["intrinsics"][0, 0], np.array([[21, 0, 8.5], [0, 21.5, 7.5], [0, 0, 1]]), atol=1e-5)


def test_7_scenes_gives_poses_and_depth_of_each_frame(tmp_path: Path) -> None:
    source = opened(scenes(tmp_path), "pose", "depth")
    assert [entry.key for entry in source.entries] == ["seq-01", "seq-02"]
    assert np.allclose(source.maps["pose"].read(1, 5 / 25), track(8, 1)[5], atol=1e-6)
    depth = source.maps["depth"].read(1, 5 / 25)
    assert depth.shape == (32, 32)
    assert np.allclose(depth, 2.006)
    cv2.imwrite(str(tmp_path / "seq-02" / "frame-000006.depth.png"), np.ones((16, 20), np.uint16))
    with pytest.raises(ValueError, match=r"^seq-02/frame-000006\.depth\.png is 20 x 16 pixels, but its frames 32 x 32"):
        source.maps["depth"].read(1, 5 / 25)


def test_a_missing_frame_may_have_a_line_or_none(tmp_path: Path) -> None:
    kitti(tmp_path)
    (tmp_path / "sequences/00/image_2/000003.png").unlink()
    for poses in (track(8), np.delete(track(8), 2, 0)):
        (tmp_path / "poses/00.txt").write_text(write_poses(poses))
        source = opened(tmp_path, "pose")
        assert np.allclose(source.maps["pose"].read(0, 5 / 25), track(8)[5], atol=1e-6)


def test_changed_poses_change_the_fingerprint(tmp_path: Path) -> None:
    kitti(tmp_path)
    before = opened(tmp_path, "pose").maps["pose"].fingerprint
    (tmp_path / "poses/00.txt").write_text(write_poses(track(8, 5)))
    assert opened(tmp_path, "pose").maps["pose"].fingerprint != before


def test_one_wrong_video_is_skipped_and_where_all_are_the_first_is_named(tmp_path: Path) -> None:
    kitti(tmp_path)
    (tmp_path / "poses/00.txt").write_text(write_poses(track(7)))
    source = opened(tmp_path, "pose")
    assert [entry.key for entry in source.entries] == ["sequences/01/image_2"]
    why = "poses/00.txt has 7 poses, but sequences/00/image_2 has 8 frames; give one line for each frame"
    assert list(source.skipped) == [("sequences/00/image_2", why)]
    (tmp_path / "poses/01.txt").write_text(write_poses(track(8)).replace("0.0", "nan", 1))
    with pytest.raises(ValueError, match=r"^poses/00.txt has 7 poses, .* \(none of the 2 videos of .* can serve\)$"):
        opened(tmp_path, "pose")
    (tmp_path / "poses/00.txt").unlink()
    (tmp_path / "sequences/01/calib.txt").write_text("P0: 1 0 0 0 0 1 0 0 0 0 1 0\n")
    for needs, sentence in (
        ("pose", "^poses are needed, but the frames of sequences/00/image_2 have none; put a poses.txt"),
        ("depth", "^depth maps are needed, but 8 of the 8 frames of sequences/00/image_2 have none; put PNG"),
    ):
        with pytest.raises(ValueError, match=sentence):
            opened(tmp_path, needs)
    assert (
        dict(opened(tmp_path, "intrinsics").skipped)["sequences/01/image_2"]
        == "sequences/01/calib.txt has no camera P2"
    )
    (tmp_path / "sequences/00/calib.txt").unlink()
    (tmp_path / "sequences/01/calib.txt").unlink()
    with pytest.raises(
        ValueError, match=r"^intrinsics of the camera are needed, but the frames of sequences/00/image_2"
    ):
        opened(tmp_path, "intrinsics")
