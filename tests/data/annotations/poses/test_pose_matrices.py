"""Matrices of poses and intrinsics are read, and wrong ones are named in one sentence."""

from __future__ import annotations

import numpy as np
import pytest

from selftaught.data.annotations.poses.pose_matrices import check_intrinsics, check_poses, read_matrix


def test_a_matrix_is_read_and_a_wrong_one_named() -> None:
    assert read_matrix("1 2\n3 4\n", "a.txt", 2).tolist() == [[1, 2], [3, 4]]
    with pytest.raises(ValueError, match=r"^a\.txt must be a matrix of 4 x 4 numbers, got 4$"):
        read_matrix("1 2\n3 4\n", "a.txt", 4)
    with pytest.raises(ValueError, match=r"^a\.txt has numbers that are not finite$"):
        read_matrix("1 2\n3 nan\n", "a.txt", 2)
    with pytest.raises(ValueError, match=r"^a\.txt holds what is no number$"):
        read_matrix("1 2\n3 four\n", "a.txt", 2)


def test_poses_must_be_rotations_and_translations() -> None:
    poses = np.tile(np.eye(4), (3, 1, 1))
    poses[:, :3, 3] = 7
    assert check_poses(poses, "a.txt") is poses
    for row, column, value in ((0, 0, 2.0), (0, 0, -1.0), (3, 3, 0.0)):
        wrong = poses.copy()
        wrong[1, row, column] = value
        with pytest.raises(ValueError, match=r"^pose 2 of a\.txt is no rotation and translation; give matrices"):
            check_poses(wrong, "a.txt")
    assert check_poses(np.zeros((0, 4, 4)), "a.txt").shape == (0, 4, 4)


def test_intrinsics_must_have_focal_lengths() -> None:
    good = np.array([[50.0, 0, 32], [0, 50, 24], [0, 0, 1]])
    assert check_intrinsics(good, "a.txt") is good
    with pytest.raises(ValueError, match=r"^a\.txt holds no intrinsics; the focal lengths must be above 0"):
        check_intrinsics(-good, "a.txt")
