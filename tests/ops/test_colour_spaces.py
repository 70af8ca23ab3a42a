from __future__ import annotations

import pytest
import torch

from selftaught.core.randomness import generator
from selftaught.ops.colour import to_grey
from selftaught.ops.colour_spaces import equal_lightness_grey, from_linear, lab_to_rgb, rgb_to_lab, to_linear


def pixel(*values: float) -> torch.Tensor:
    return torch.tensor(values).view(3, 1, 1)


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        ((1.0, 1.0, 1.0), (100.0, 0.0, 0.0)),
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
        ((0.5, 0.5, 0.5), (53.39, 0.0, 0.0)),
        ((1.0, 0.0, 0.0), (53.24, 80.09, 67.20)),
        ((0.0, 1.0, 0.0), (87.73, -86.18, 83.18)),
        ((0.0, 0.0, 1.0), (32.30, 79.19, -107.86)),
        ((1.0, 1.0, 0.0), (97.14, -21.55, 94.48)),
        ((0.02, 0.01, 0.0), (0.80, 0.31, 1.20)),
    ],
)
def test_known_colours(rgb: tuple[float, ...], lab: tuple[float, ...]) -> None:
    """The corners of sRGB as every table of D65 gives them, and a dark colour on the straight part of both curves."""
    found = rgb_to_lab(pixel(*rgb)).flatten().tolist()
    assert found == pytest.approx(lab, abs=0.03)


def test_curves_are_those_of_the_standard() -> None:
    for value in (0.0, 0.02, 0.04045, 0.05, 0.3, 1.0):
        linear = value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        assert float(to_linear(torch.tensor(value))) == pytest.approx(linear, abs=1e-6)
        assert float(from_linear(torch.tensor(linear))) == pytest.approx(value, abs=1e-4)


def test_there_and_back_and_any_leading_axes() -> None:
    images = torch.rand(2, 4, 3, 8, 8, generator=generator("rgb"))
    lab = rgb_to_lab(images)
    assert torch.allclose(lab_to_rgb(lab), images, atol=2e-4)
    assert torch.equal(rgb_to_lab(images[1]), lab[1])


def test_autocast_does_not_round_colours() -> None:
    images = torch.rand(2, 3, 8, 8, generator=generator("rgb"))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(rgb_to_lab(images), rgb_to_lab(images.clone()))
        lab = rgb_to_lab(images)
        back = lab_to_rgb(lab)
        grey = equal_lightness_grey(images)
    assert torch.equal(lab, rgb_to_lab(images))
    assert torch.equal(back, lab_to_rgb(lab))
    assert torch.equal(grey, equal_lightness_grey(images))


def same_lightness(n: int = 64) -> torch.Tensor:
    """Colours of sRGB with L = 60 and any a and b, as images of one pixel."""
    ab = torch.rand(n, 2, 1, 1, generator=generator("ab")) * 50 - 25
    return lab_to_rgb(torch.cat([torch.full((n, 1, 1, 1), 60.0), ab], 1))


def test_grey_of_equal_lightness_is_a_function_of_lightness_alone() -> None:
    images = same_lightness()
    grey = equal_lightness_grey(images)
    assert grey.shape == (64, 1, 1, 1)
    assert float(grey.max() - grey.min()) < 1e-5
    luma = to_grey(images)
    assert float(luma.max() - luma.min()) > 0.02, "luma is no function of lightness; it would give colour away"


def test_grey_keeps_lightness_and_is_its_own_grey() -> None:
    images = torch.rand(2, 3, 8, 8, generator=generator("rgb"))
    grey = equal_lightness_grey(images).expand(-1, 3, -1, -1)
    assert torch.allclose(rgb_to_lab(grey)[:, 0], rgb_to_lab(images)[:, 0], atol=1e-3)
    assert float(rgb_to_lab(grey)[:, 1:].abs().max()) < 0.02
    assert torch.allclose(equal_lightness_grey(grey), grey[:, :1], atol=1e-5)
