"""Frames as RGB: the colours of the standards in every format, whichever scaler they go through."""

from __future__ import annotations

from typing import Any

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Interpolation
from numpy.typing import NDArray

from selftaught.data.decode.frame_pixels import ONE_THREAD, ToRGB, luma

FORMATS = ("yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv411p", "yuv410p", "nv12", "gray", "yuv420p10le", "bgr24")
SPACES = (1, 2, 4, 5, 9)
"""BT.709, not stated, FCC, which goes through FFmpeg's scaler, BT.601, BT.2020."""


def smooth(height: int = 96, width: int = 128) -> NDArray[np.uint8]:
    """(H, W, 3), colours that change slowly, so that no scaler has details to lose."""
    coarse = np.random.default_rng(0).integers(30, 225, (3, 4, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def frame_of(pixels: NDArray[np.uint8], kind: str, space: int = 2, *, is_full: bool = False) -> Any:
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=kind, **ONE_THREAD)
    frame.colorspace = space
    if is_full:
        frame.color_range = ColorRange.JPEG
    return frame


def by_ffmpeg(frame: Any, height: int, width: int) -> NDArray[np.float64]:
    # From another size than its own: the short cut for equal sizes is darker by up to two levels.
    frame = frame.reformat(frame.width + 2, frame.height + 2, interpolation=Interpolation.BILINEAR, **ONE_THREAD)
    scaled = frame.reformat(width, height, "gbrp", interpolation=Interpolation.BILINEAR, **ONE_THREAD)
    return np.asarray(scaled.to_ndarray(), np.float64)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(("height", "width"), [(96, 128), (41, 55), (31, 40), (150, 200)])
def test_every_format_gives_the_colours_of_ffmpeg(kind: str, height: int, width: int) -> None:
    frame = frame_of(smooth(), kind)
    found, expected = ToRGB()(frame, height, width), by_ffmpeg(frame, height, width)
    assert found.shape == (height, width, 3)
    assert np.abs((found - expected).mean((0, 1))).max() < 0.7
    assert np.median(np.abs(found - expected)) <= 1


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("is_full", [False, True])
def test_every_colour_space_and_range_gives_the_colours_of_ffmpeg(space: int, is_full: bool) -> None:
    frame = frame_of(smooth(), "yuv444p", space, is_full=is_full)
    found = ToRGB()(frame, 96, 128)
    expected = frame.reformat(format="gbrp", **ONE_THREAD).to_ndarray().astype(float)
    assert np.abs(found - expected).max() <= 2
    assert np.abs((found - expected).mean((0, 1))).max() < 0.7
    assert luma(frame)[1] == (0 if is_full else 16)


def test_grey_stays_grey_from_black_to_white() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 16, 0).repeat(3, 2)
    found = ToRGB()(frame_of(ramp, "yuv420p"), 16, 256)
    assert np.ptp(found, axis=2).max() == 0
    assert np.abs(found[0, :, 0].astype(int) - np.arange(256)).max() <= 1


def test_a_small_frame_is_the_average_of_a_large_one() -> None:
    """Stripes and noise must not come back as coarser patterns."""
    rng = np.random.default_rng(0)
    for large in (np.indices((480, 640)).sum(0) % 2 * 200.0 + 20, rng.uniform(0, 255, (480, 640))):
        frame = frame_of(np.repeat(large[:, :, None], 3, 2).astype(np.uint8), "yuv444p")
        small = ToRGB()(frame, 60, 80)[:, :, 1].astype(float)
        assert np.abs(small - large.reshape(60, 8, 80, 8).mean((1, 3))).max() < 3


def test_a_frame_that_is_scaled_in_one_direction_alone_keeps_the_other() -> None:
    columns = np.repeat(np.random.default_rng(0).integers(60, 200, 64, dtype=np.uint8)[None, :, None], 48, 0)
    frame = frame_of(columns.repeat(3, 2), "yuv444p")
    whole = ToRGB()(frame, 48, 64)
    assert np.array_equal(ToRGB()(frame, 11, 64), whole[:11])
