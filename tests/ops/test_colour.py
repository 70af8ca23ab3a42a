from __future__ import annotations

import colorsys
import itertools

import pytest
import torch
from torchvision.transforms.v2 import functional as tv

from selftaught.core.randomness import generator
from selftaught.ops import colour


def pictures(n: int = 3) -> torch.Tensor:
    return torch.rand(n, 3, 8, 8, generator=generator("pictures"))


def affine(images: torch.Tensor, step: int, amount: float) -> torch.Tensor:
    """One of brightness, contrast, saturation and hue alone."""
    amounts = torch.tensor([1.0, 1.0, 1.0, 0.0])
    amounts[step] = amount
    return colour.affine_colour(images, *colour.colour_map(images, *amounts[:, None].expand(4, len(images))))


def test_brightness_and_saturation_equal_the_platforms() -> None:
    images = pictures() * 0.5 + 0.2
    assert torch.allclose(affine(images, 0, 1.2), tv.adjust_brightness(images, 1.2), atol=1e-4)
    assert torch.allclose(affine(images, 2, 1.3).clamp(0, 1), tv.adjust_saturation(images, 1.3), atol=2e-3)


def test_hue_keeps_luma_and_turns_a_full_circle_back() -> None:
    images = pictures()
    turned = affine(images, 3, 0.3)
    assert torch.allclose(colour.to_grey(turned), colour.to_grey(images), atol=1e-4)
    assert torch.allclose(affine(turned, 3, 0.7), images, atol=1e-4)


def test_hue_turns_the_way_of_the_colour_wheel() -> None:
    red = torch.tensor([0.7, 0.3, 0.3]).view(1, 3, 1, 1)
    for sign in (1, -1):
        turned = affine(red, 3, sign / 3).flatten().clamp(0, 1).tolist()
        hue = colorsys.rgb_to_hsv(*turned)[0]
        assert abs(hue - (sign / 3) % 1) < 0.12, (sign, turned)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::5])
def test_all_steps_at_once_are_the_steps_one_after_the_other_in_any_order(order: tuple[int, ...]) -> None:
    images, amounts = pictures(), (1.3, 0.6, 1.5, 0.15)
    one_by_one = images
    for step in order:
        one_by_one = affine(one_by_one, step, amounts[step])
    at_once = colour.colour_map(images, *torch.tensor(amounts)[:, None].expand(4, len(images)))
    assert torch.allclose(colour.affine_colour(images, *at_once), one_by_one, atol=1e-5)


def test_contrast_is_the_distance_to_the_mean_luma() -> None:
    images = pictures()
    mean = (images * torch.tensor(colour.LUMA).view(3, 1, 1)).sum(1).mean((1, 2))[:, None, None, None]
    assert torch.allclose(affine(images, 1, 0.4), 0.4 * images + 0.6 * mean, atol=1e-5)


def test_jitter_and_normalisation_in_one_are_the_one_after_the_other() -> None:
    images = pictures(16)
    wanted = colour.normalise(colour.colour_jitter(images, generator(7)))
    got = colour.normalised_jitter(images, generator(7))
    assert torch.allclose(got, wanted, atol=1e-5)
    assert got.is_contiguous(memory_format=torch.channels_last)
    whole = torch.empty(20, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    assert colour.normalised_jitter(images, generator(7), out=whole[4:]).data_ptr() == whole[4:].data_ptr()
    assert torch.equal(whole[4:], got)


def test_jitter_without_strength_is_the_identity_and_grey_is_grey() -> None:
    images = pictures()
    same = colour.colour_jitter(images, generator(0), 0, 0, 0, 0, jitter=1.0, grey=0.0)
    assert torch.allclose(same, images, atol=1e-5)
    grey = colour.colour_jitter(images, generator(0), jitter=1.0, grey=1.0)
    assert torch.allclose(grey[:, 0], grey[:, 1], atol=1e-5)
    assert torch.allclose(grey[:, 0], grey[:, 2], atol=1e-5)


def test_contrast_keeps_the_mean_grey_level() -> None:
    images = pictures() * 0.2 + 0.4
    changed = colour.colour_jitter(images, generator(3), 0, 0.5, 0, 0, jitter=1.0, grey=0.0)
    assert not torch.allclose(changed, images, atol=1e-3)
    means = colour.to_grey(changed).mean((1, 2, 3)), colour.to_grey(images).mean((1, 2, 3))
    assert torch.allclose(*means, atol=1e-3)


def test_every_image_has_its_own_draw_and_the_generator_decides() -> None:
    one = pictures(1).expand(16, 3, 8, 8)
    first = colour.colour_jitter(one, generator(5))
    assert len({round(float(x.mean()), 5) for x in first}) > 8
    assert torch.equal(first, colour.colour_jitter(one, generator(5)))


def test_normalise_is_undone() -> None:
    images = pictures()
    assert torch.allclose(colour.denormalise(colour.normalise(images)), images, atol=1e-5)
    assert colour.normalise(images).is_contiguous(memory_format=torch.channels_last)


def test_coarse_colour_keeps_brightness_and_means_of_colour() -> None:
    images = torch.rand(2, 3, 9, 8, generator=torch.Generator().manual_seed(0))
    coarse = colour.coarse_colour(images)
    assert torch.allclose(colour.to_grey(coarse), colour.to_grey(images), atol=1e-6)
    flat = torch.rand(2, 3, 1, 1).expand(2, 3, 8, 8)
    assert torch.allclose(colour.coarse_colour(flat), flat, atol=1e-6)
    tint = coarse - colour.to_grey(coarse)
    block = (images - colour.to_grey(images))[:, :, :4, :4].mean((2, 3))
    assert torch.allclose(tint[:, :, 0, 0], block, atol=1e-6), "the outer corner is the mean of its 4 x 4 pixels"


def test_other_channels_are_normalised_alike_and_have_no_hue() -> None:
    images = torch.rand(4, 5, 6, 7)
    assert torch.allclose(colour.normalise(images), (images - 0.5) / 0.25)
    assert torch.allclose(colour.denormalise(colour.normalise(images)), images, atol=1e-6)
    same = colour.colour_jitter(
        images, torch.Generator().manual_seed(0), 0, 0, saturation=0.8, hue=0.2, jitter=1.0, grey=1.0
    )
    assert torch.allclose(same, images, atol=1e-6)
    first, second = (torch.Generator().manual_seed(0) for _ in range(2))
    changed = colour.normalised_jitter(images, first, 0.4, 0.4)
    assert torch.allclose(changed, colour.normalise(colour.colour_jitter(images, second, 0.4, 0.4)), atol=1e-5)
    assert not torch.allclose(changed, colour.normalise(images))
