"""Flow has the known motion of frames, within the error that is stated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from selftaught.data.computed.optical_flow import OpticalFlow, Preset, dense_flow, halved
from tests.data.computed.moving import shifting


@pytest.mark.parametrize(("right", "down"), [(1, 0), (0.5, 0.25), (3, -2), (-4, 3)])
def test_flow_is_the_shift_of_the_frames(right: float, down: float) -> None:
    flow = OpticalFlow().run(shifting(3, right, down))
    assert flow.shape == (2, 48, 60, 2)
    error = np.linalg.norm(flow - np.array([right, down]), axis=3)[:, 6:-6, 6:-6]
    assert error.mean() < 0.1
    assert np.percentile(error, 99) < 0.25


def test_frames_that_stand_still_have_no_flow() -> None:
    assert np.abs(OpticalFlow().run(shifting(2, 0, 0))).max() < 0.01


def test_an_odd_side_keeps_its_last_line() -> None:
    values = np.arange(15, dtype=np.float32).reshape(3, 5, 1)
    assert halved(values)[:, :, 0].tolist() == [[3.0, 5.0, 6.5], [10.5, 12.5, 14.0]]
    assert OpticalFlow().run(shifting(2, 1, 0, height=33, width=47)).shape == (1, 17, 24, 2)


def test_real_frames_have_their_true_flow(shared_data: Callable[[str], Path]) -> None:
    folder = shared_data("flow_pairs") / "rubberwhale"
    frames = np.stack([np.asarray(Image.open(folder / f"frame{i}.png").convert("RGB")) for i in (1, 2)])
    with np.load(folder / "flow.npz") as truth:
        error = np.linalg.norm(dense_flow(frames, "medium")[0] - truth["flow"], axis=2)[truth["valid"]]
    assert error.mean() < 0.3  # no motion at all is off by 1.26
    assert np.median(error) < 0.12


@pytest.mark.parametrize("preset", ["ultrafast", "fast", "medium"])
def test_the_flow_of_two_frames_depends_on_no_others(preset: Preset) -> None:
    """Sizes at which buffers that OpenCV keeps would show."""
    for height, width in ((50, 32), (34, 40)):
        frames = shifting(4, 1.0, 0.5, height=height, width=width)
        for k, flow in enumerate(dense_flow(frames, preset)):
            assert np.array_equal(flow, dense_flow(frames[k : k + 2], preset)[0])


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (11, 5), (40, 3)])
def test_frames_below_what_opencv_takes_have_flow(size: tuple[int, int]) -> None:
    flow = dense_flow(shifting(2, 0, 0, height=size[0], width=size[1]), "medium")[0]
    assert flow.shape == (*size, 2)
    assert np.abs(flow).max() < 0.1
