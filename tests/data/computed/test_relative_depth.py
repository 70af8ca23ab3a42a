"""Percentiles of depth from flow: their order, what is unknown, and frames of a camera that does not go."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from selftaught.data.computed.relative_depth import RelativeDepth, nearness
from selftaught.evaluation.metrics.depth_maps import order_accuracy
from tests.data.computed.going import frames_of, scene_depth, true_flow
from tests.data.computed.moving import shifting

FOCAL = 48 / np.tan(np.radians(30))  # of 96 pixels with a field of view of 60 degrees


def flow_of(way: tuple[float, float, float], turn: tuple[float, float, float]) -> NDArray[np.float32]:
    return true_flow(scene_depth(), float(FOCAL), way, turn)


@pytest.mark.parametrize("way", [(0.1, 0.0, 0.02), (0.02, 0.02, 0.15)], ids=["sideways", "ahead"])
def test_nearness_of_exact_flow_is_one_over_depth(way: tuple[float, float, float]) -> None:
    near, is_known = nearness(flow_of(way, (0.0, 0.02, 0.005)), float(FOCAL), 0.3)
    found, depth = (torch.from_numpy(one).view(1, 72, 96) for one in (-near, scene_depth()))
    assert is_known.mean() > 0.7
    assert order_accuracy(found, depth, known=torch.from_numpy(is_known).view(1, 72, 96))[0] > 0.97


def test_frames_become_percentiles_at_half_resolution() -> None:
    frames = frames_of(flow_of((0.08, 0.0, 0.0), (0.0, 0.02, 0.0)), 3)
    found = RelativeDepth().run(frames)
    assert found.shape == (3, 36, 48, 1)
    assert found.dtype == np.uint8
    depth = scene_depth()[1::2, 1::2]
    for frame in found[:2, :, :, 0]:
        known = frame > 0
        assert known.mean() > 0.5
        assert frame.min(where=known, initial=255) == 1
        assert frame.max() == 255
        assert spearmanr(frame[known], depth[known]).statistic > 0.7


def test_the_last_frame_of_a_shot_is_compared_with_an_earlier_one() -> None:
    frames = frames_of(flow_of((0.08, 0.0, 0.0), (0.0, 0.0, 0.0)), 2)
    program = RelativeDepth(reach=1)
    assert np.array_equal(program.run(frames)[1], program.run(frames[::-1])[0])


def test_a_frame_is_unknown_where_the_frames_around_it_tell_another_depth() -> None:
    """The camera goes to the right before the scene, then before the same image with far and near exchanged."""
    flow, other = (
        true_flow(one, float(FOCAL), (0.08, 0.0, 0.0), (0.0, 0.0, 0.0)) for one in (scene_depth(), 10 - scene_depth())
    )
    before, middle = frames_of(flow, 2)
    program = RelativeDepth(reach=1)
    same = np.stack([before, middle, *frames_of(flow, 3)[2:]])
    assert (program.run(same)[1] > 0).mean() > 0.5
    y, x = np.mgrid[:72, :96].astype(np.float32)
    after = cv2.remap(middle, x - other[:, :, 0], y - other[:, :, 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    assert not program.run(np.stack([before, middle, after]))[1].any()


def test_without_a_way_depth_is_unknown() -> None:
    noise = np.random.default_rng(0).normal(0, 1, (4, 72, 96, 3))
    still = np.clip(shifting(1, 0, 0, height=72, width=96) + noise, 0, 255).astype(np.uint8)
    turning = frames_of(true_flow(scene_depth(), float(FOCAL), (0, 0, 0), (0.0, 0.03, 0.01)), 2)
    for frames in (still, turning, still[:1]):
        assert (RelativeDepth().run(frames) > 0).mean() < 0.2


def test_what_moves_on_its_own_is_unknown() -> None:
    flow = flow_of((0.1, 0.0, 0.0), (0.0, 0.0, 0.0))
    flow[10:30, 60:80] = (0, 6)
    _, is_known = nearness(flow, float(FOCAL), 0.3)
    assert not is_known.reshape(72, 96)[10:30, 60:80].any()
    assert is_known.mean() > 0.8


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fov": 180}, "fov of relative_depth must be above 0 and below 180 degrees, got 180"),
        ({"least": 0}, "least flow more than 0 pixels, got 8 and 0"),
        ({"reach": 0}, "reach of relative_depth must be at least 1 frame"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RelativeDepth(**settings)  # type: ignore[arg-type]
