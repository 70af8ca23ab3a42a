"""Trajectories and lists of images of TUM."""

from __future__ import annotations

import numpy as np

from selftaught.data.annotations.poses.tum import read_list, read_trajectory


def test_the_real_part_of_a_quaternion_is_last() -> None:
    found = read_trajectory(
        "# timestamp tx ty tz qx qy qz qw\n10.5 1 2 3 0 0 0 1\n11 1 2 4 1 0 0 0\n", "groundtruth.txt"
    )
    assert found.times.tolist() == [10.5, 11]
    assert np.allclose(found.poses[0], [[1, 0, 0, 1], [0, 1, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]])
    assert np.allclose(found.poses[1, :3, :3], np.diag([1, -1, -1]))


def test_a_list_is_sorted_and_another_text_is_none() -> None:
    assert read_list("# t file\n2.5 rgb/2.5.png\n1.5 rgb/1.5.png\n") == [(1.5, "rgb/1.5.png"), (2.5, "rgb/2.5.png")]
    assert [read_list(text) for text in ("", "255 0 0\nred\n", "red green\n", "1.5\n")] == [None] * 4
