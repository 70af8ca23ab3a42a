"""Common image files, whole and by windows, in colours or in the channels they have."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from selftaught.data.decode.containers.base import Box
from selftaught.data.decode.containers.plain import PlainFile
from selftaught.data.files.file_tree import Unreadable

COLOURS = np.random.default_rng(0).integers(0, 256, (30, 40, 4), dtype=np.uint8)


def png(pixels: np.ndarray) -> bytes:
    order = [2, 1, 0, 3][: pixels.shape[2]] if pixels.ndim == 3 else slice(None)
    return bytes(cv2.imencode(".png", pixels[..., order] if pixels.ndim == 3 else pixels)[1])


def test_a_window_is_cut_of_what_was_decoded_once() -> None:
    reads = 0

    def read() -> bytes:
        nonlocal reads
        reads += 1
        return png(COLOURS[:, :, :3])

    file = PlainFile(read, channels=3, max_pixels=10_000)
    assert file.held_bytes == 0
    for top in (0, 10):
        np.testing.assert_array_equal(file.read(0, Box(top, 5, 8, 9)).pixels, COLOURS[top : top + 8, 5:14, :3])
    assert reads == 1
    assert file.held_bytes == 30 * 40 * 3
    assert file.size(0) == (30, 40)


def test_channels_are_read_as_stored() -> None:
    whole = PlainFile(lambda: png(COLOURS), channels=4, max_pixels=10_000).read(0)
    np.testing.assert_array_equal(whole.pixels, COLOURS)
    deep = COLOURS[:, :, 0].astype(np.uint16) << 4
    np.testing.assert_array_equal(
        PlainFile(lambda: png(deep), channels=1, max_pixels=10_000).read(0).pixels[:, :, 0], deep
    )


def test_a_large_image_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(Unreadable, match=r"claims 40 x 30 pixels.*--max-image-pixels raises the limit"):
        PlainFile(lambda: png(COLOURS), channels=3, max_pixels=1000).read(0)
