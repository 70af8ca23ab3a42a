"""Pairs of frames and the motion between their poses."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from selftaught.tasks.parts.clips.camera_motion import along, choose_pairs, draw_pairs, motion_between, words_of
from tests.tasks.clip_guards import still_clips
from tests.tasks.clips import rng
from tests.tasks.walks import poses


def test_motion_is_in_the_axes_of_the_first_camera() -> None:
    first, second = poses(20)[:, 0], poses(20)[:, 2]
    found = motion_between(first, second)
    relative = torch.linalg.inv(first.double()) @ second.double()
    assert torch.allclose(found[:, :3].double(), relative[:, :3, 3], atol=1e-5)
    for n in range(20):
        yaw, pitch, roll = found[n, 3:].tolist()
        turn = np.eye(3)
        for axis, angle in ((1, yaw), (0, pitch), (2, roll)):
            vector = np.zeros(3)
            vector[axis] = angle
            turn = turn @ cv2.Rodrigues(vector)[0]
        assert np.allclose(turn, relative[n, :3, :3].numpy(), atol=1e-5)


def test_pairs_go_both_ways_at_all_distances() -> None:
    numbers = choose_pairs(4000, 3, rng())
    assert sorted((numbers[:, 1] - numbers[:, 0]).unique().tolist()) == [-3, -2, -1, 1, 2, 3]
    assert numbers.min() == 0
    assert numbers.max() == 3
    assert 1800 < int((numbers[:, 1] > numbers[:, 0]).sum()) < 2200


def test_a_mirrored_pair_has_the_motion_of_its_mirror_image() -> None:
    pose = torch.eye(4).repeat(40, 4, 1, 1)
    pose[:, :, :3, 3] = torch.arange(4)[:, None] * torch.tensor([1.0, 2.0, 3.0])
    images, motion = draw_pairs(still_clips(40, frames=4, side=24), pose, 16, rng(), least_side=0.8, degrade=0.5)
    assert images.shape == (80, 3, 16, 16)
    x, y, z = motion[:, :3].T
    assert torch.equal(1.5 * y, z)
    assert torch.equal(2 * x.abs(), y.abs())
    assert 10 < int((x * y < 0).sum()) < 30


def test_axes_by_name() -> None:
    motion = torch.arange(6.0)[None]
    assert along(motion, ("z", "yaw")).tolist() == [[2, 3]]
    assert words_of(torch.tensor([0.25, 0.1]), ("z", "yaw")) == "z 0.250 m, yaw 5.7 degrees"
