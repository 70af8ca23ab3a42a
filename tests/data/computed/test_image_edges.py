"""Edges are where the image changes, lines are stronger than texture, and contrast is relative."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from selftaught.data.computed.image_edges import ImageEdges, Method, canny_edges
from selftaught.ops.edges.ridges import thin
from tests.data.computed.moving import texture


def halves(dark: int = 60, light: int = 200) -> np.ndarray:
    """An image that is dark on the left and light from column 40 on."""
    image = np.full((64, 80, 3), dark, np.uint8)
    image[:, 40:] = light
    return image


@pytest.mark.parametrize("method", ["gradient", "canny"])
def test_the_border_of_two_halves_is_one_line(method: Method) -> None:
    (found,) = ImageEdges(method=method).run(halves()[None])
    assert found.shape == (64, 80, 1)
    assert found.dtype == np.float32
    assert float(found.max()) == 1.0
    lines = thin(torch.from_numpy(found[None, :, :, 0]))[0].numpy() >= 0.5
    columns = np.argwhere(lines)[:, 1]
    assert set(columns.tolist()) <= {39, 40}
    assert set(np.argwhere(lines)[:, 0].tolist()) >= set(range(2, 62))


@pytest.mark.parametrize("method", ["gradient", "canny"])
def test_contrast_is_relative_and_an_even_image_has_no_edges(method: Method) -> None:
    program = ImageEdges(method=method)
    faint, clear = program.run(np.stack([halves(100, 120), halves(60, 200)]))
    assert np.abs(faint - clear).max() < 0.2
    assert program.run(np.full((1, 32, 32, 3), 90, np.uint8)).max() == 0


def test_a_line_is_stronger_than_texture_of_the_same_contrast() -> None:
    """By the structure tensor, as the gradients of texture point everywhere."""
    rng = np.random.default_rng(0)
    image = np.full((96, 96, 3), 100, np.uint8)
    image[:, 48:] = np.clip(rng.normal(100, 60, (96, 48, 1)), 0, 255)
    image[:48, :20] = 180
    (found,) = ImageEdges().run(image[None])
    assert found[24, 18:22].max() > 1.5 * np.median(found[10:-10, 60:90])


def test_canny_is_nested() -> None:
    """What stays at a high threshold stays at each lower one: 16 levels, and nothing between."""
    found = canny_edges(texture(64, 64).astype(np.uint8))
    assert set(np.unique(16 * found).tolist()) <= set(range(17))
    assert 0.01 < (found > 0).mean() < 0.5


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ValueError, match="method of image_edges must be gradient or canny, got 'sobel'"):
        ImageEdges(method="sobel")  # type: ignore[arg-type]
