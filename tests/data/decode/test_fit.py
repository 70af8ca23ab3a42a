"""The geometry of packed images: short side, aspect, cut in the middle."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from selftaught.data.decode.fit import MAX_ASPECT, fit, window
from selftaught.data.decode.image import Decoding
from selftaught.data.files.file_tree import Unreadable
from tests.data.trees import encoded

USUAL = Decoding()


def columns(height: int, width: int) -> NDArray[np.uint8]:
    """Each pixel holds the number of its column."""
    return np.broadcast_to(np.arange(width, dtype=np.uint8)[None, :, None], (height, width, 3)).copy()


@pytest.mark.parametrize(
    ("height", "width", "shape"),
    [(40, 60, (20, 30)), (60, 40, (30, 20)), (40, 40, (20, 20)), (10, 15, (20, 30)), (20, 27, (20, 27))],
)
def test_the_short_side_is_exact_and_the_aspect_kept(height: int, width: int, shape: tuple[int, int]) -> None:
    assert fit(columns(height, width), side=20, decoding=USUAL).shape == (*shape, 3)


def test_what_has_the_side_already_keeps_its_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 21, 3), dtype=np.uint8)
    assert np.array_equal(fit(pixels, side=16, decoding=USUAL), pixels)
    assert np.array_equal(fit(encoded(pixels), side=16, decoding=USUAL), pixels)


def test_long_images_are_cut_in_the_middle() -> None:
    fitted = fit(columns(10, 50), side=10, decoding=USUAL)
    assert fitted.shape == (10, MAX_ASPECT * 10, 3)
    assert fitted[0, :, 0].tolist() == list(range(10, 40))
    assert fit(columns(50, 10), side=10, decoding=USUAL).shape == (30, 10, 3)


def test_shrinking_by_an_integer_is_the_mean_of_squares() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    expected = pixels.reshape(8, 3, 8, 3, 3).mean((1, 3))
    assert np.abs(fit(pixels, side=8, decoding=USUAL) - expected).max() <= 0.51


def test_the_result_takes_the_beginning_of_the_memory_given() -> None:
    memory = np.zeros(3 * 8 * 24, np.uint8)
    fitted = fit(columns(8, 12), side=8, decoding=USUAL, out=memory)
    assert np.shares_memory(fitted, memory)
    assert np.array_equal(memory[: 8 * 12 * 3].reshape(8, 12, 3), columns(8, 12))


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(TypeError, match=r"a.mp4 is a video, not an image"):
        fit("a.mp4", side=8, decoding=USUAL)
    with pytest.raises(Unreadable):
        fit(b"no image", side=8, decoding=USUAL)


def test_a_window_stands_at_every_place_equally_often() -> None:
    pixels = columns(4, 10)
    lefts = [int(window(pixels, side=4, y=0.0, x=x)[0, 0, 0]) for x in np.linspace(0, 1, 700, endpoint=False)]
    assert {left: lefts.count(left) for left in range(7)} == dict.fromkeys(range(7), 100)
    assert window(pixels, side=4, y=0.999, x=0.999).shape == (4, 4, 3)
    assert np.shares_memory(window(pixels, side=4, y=0.5, x=0.5), pixels)
