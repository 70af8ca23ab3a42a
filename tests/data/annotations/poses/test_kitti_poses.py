"""Poses and intrinsics are read back as written, and a wrong line is named."""

from __future__ import annotations

import numpy as np
import pytest

from selftaught.data.annotations.poses.kitti_poses import read_intrinsics, read_poses, write_intrinsics, write_poses


def test_poses_are_read_back() -> None:
    poses = np.tile(np.eye(4), (5, 1, 1))
    poses[:, :3] = np.random.default_rng(0).normal(size=(5, 3, 4))
    text = write_poses(poses)
    assert [len(line.split()) for line in text.splitlines()] == [12] * 5
    assert np.allclose(read_poses(text, "00.txt"), poses, atol=1e-8)
    assert read_poses("", "00.txt").shape == (0, 4, 4)


def test_intrinsics_are_read_back() -> None:
    intrinsics = np.array([[70.5, 0, 32], [0, 70.5, 32], [0, 0, 1]])
    text = "Tr: 1 2 3\n" + write_intrinsics(intrinsics)
    assert np.allclose(read_intrinsics(text, "calib.txt"), intrinsics)
    with pytest.raises(ValueError, match=r"^calib\.txt has no camera P2$"):
        read_intrinsics(text, "calib.txt", "P2")


def test_a_wrong_line_is_named() -> None:
    good = "1 0 0 0 0 1 0 0 0 0 1 0\n"
    with pytest.raises(ValueError, match=r"^line 2 of 00\.txt must be 12 numbers, got 11$"):
        read_poses(good + good[2:], "00.txt")
    with pytest.raises(ValueError, match=r"^line 1 of 00\.txt has numbers that are not finite$"):
        read_poses(good.replace("1", "nan"), "00.txt")
    with pytest.raises(ValueError, match=r"^line 1 of 00\.txt holds what is no number$"):
        read_poses(good.replace("1", "one"), "00.txt")
