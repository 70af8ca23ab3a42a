"""A camera that moves and turns evenly is where it should be between, before and after the moments that are known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from selftaught.data.annotations.poses.trajectory import poses_of, timed

AXIS = np.array([0.6, 0.0, 0.8])


def pose(second: float) -> np.ndarray:
    """A screw motion: 2 m along x and 0.9 rad about a fixed axis in a second."""
    out = np.eye(4)
    out[:3, :3] = cv2.Rodrigues(0.9 * second * AXIS)[0]
    out[:3, 3] = (2 * second, 1, -second)
    return out


def track(*times: float) -> np.ndarray:
    return np.stack([pose(second) for second in times])


def test_an_even_motion_is_found_between_and_a_step_beyond() -> None:
    times = np.array([0.0, 0.1, 0.3, 0.4])
    found = timed(times, track(*times), "a").at(np.array([-0.1, 0.0, 0.05, 0.22, 0.4, 0.49]))
    assert np.allclose(found, track(-0.1, 0, 0.05, 0.22, 0.4, 0.49), atol=1e-12)


def test_what_is_far_from_all_moments_is_not_known() -> None:
    times = np.array([0.0, 0.1, 0.2, 1.2, 1.3, 1.4])
    found = timed(times, track(*times), "a").at(np.array([-0.2, 0.25, 0.6, 1.15, 1.35, 1.6]))
    assert np.isnan(found).all((1, 2)).tolist() == [True, False, True, False, False, True]
    assert np.allclose(found[1], pose(0.25))


def test_quaternions_have_their_real_part_last() -> None:
    """A quarter turn about z takes x to y, whatever its sign."""
    quarter = np.array([0, 0, np.sin(np.pi / 4), np.cos(np.pi / 4)])
    poses = poses_of(np.array([[1.0, 2, 3], [0, 0, 0]]), np.stack([quarter, -quarter]), "a")
    assert np.allclose(poses[:, :3, :3] @ [1, 0, 0], [0, 1, 0])
    assert poses[0, :3, 3].tolist() == [1, 2, 3]
    turns = np.random.default_rng(0).normal(size=(20, 3))
    angles = np.linalg.norm(turns, axis=1, keepdims=True)
    many = np.concatenate([turns / angles * np.sin(angles / 2), np.cos(angles / 2)], 1)
    expected = np.stack([cv2.Rodrigues(turn)[0] for turn in turns])
    assert np.allclose(poses_of(np.zeros((20, 3)), many, "a")[:, :3, :3], expected)


def test_of_equal_times_the_first_counts() -> None:
    made = timed(np.array([0.0, 0.1, 0.1, 0.2]), track(0, 0.1, 7, 0.2), "a")
    assert np.allclose(made.at(np.array([0.15])), pose(0.15))


def test_wrong_ones_are_named() -> None:
    times = np.array([0.0, 0.1, 0.2])
    for changed, sentence in (
        ([0.0, 0.2, 0.1], r"^the times of a\.txt fall from row 2 to the next; sort its rows by time$"),
        ([0.0, np.nan, 0.1], r"^row 2 of a\.txt has numbers that are not finite$"),
        ([0.1, 0.1, 0.1], r"^a\.txt has 1 poses, and at least 2 at different times are needed$"),
    ):
        with pytest.raises(ValueError, match=sentence):
            timed(np.array(changed), track(*times), "a.txt")
    with pytest.raises(ValueError, match=r"^a\.txt has 0 poses"):
        timed(np.zeros(0), np.zeros((0, 4, 4)), "a.txt")
    still = np.array([[0.0, 0, 0, 1], [0, 0, 0, 1.02]])
    with pytest.raises(ValueError, match=r"^the quaternion in row 2 of a\.txt has the norm 1\.02 instead of 1; give"):
        poses_of(np.zeros((2, 3)), still, "a.txt")
    with pytest.raises(ValueError, match=r"^row 1 of a\.txt has numbers that are not finite$"):
        poses_of(np.array([[0, np.nan, 0], [0, 0, 0]]), still, "a.txt")
