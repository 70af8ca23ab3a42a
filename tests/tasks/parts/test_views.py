from __future__ import annotations

import torch

from selftaught.core.randomness import generator
from selftaught.ops.colour import colour_jitter, denormalise, normalise
from selftaught.ops.crop import random_resized_crop
from selftaught.tasks.parts.views import distorted_view

IMAGES = torch.randint(0, 256, (6, 3, 40, 40), generator=generator("images"), dtype=torch.uint8)


def test_a_view_is_a_crop_with_distorted_colours() -> None:
    rng = generator(1)
    crops = random_resized_crop(IMAGES, 32, rng, scale=(0.3, 1.0), blur=0.5)
    expected = normalise(colour_jitter(crops, rng, 0.4, 0.4, 0.4, 0.1, grey=0.2))
    view = distorted_view(IMAGES, 32, generator(1), min_scale=0.3, jitter=0.5, grey=0.2, blur=0.5)
    assert torch.allclose(view, expected, atol=1e-5)
    assert view.shape == (6, 3, 32, 32)


def test_a_view_is_written_to_where_it_is_asked_to_be() -> None:
    both = torch.zeros(12, 3, 32, 32)
    view = distorted_view(IMAGES, 32, generator(1), min_scale=0.3, jitter=0.5, grey=0.2, blur=0.5)
    distorted_view(IMAGES, 32, generator(1), min_scale=0.3, jitter=0.5, grey=0.2, blur=0.5, out=both[6:])
    assert torch.equal(both[6:], view)
    assert not bool(both[:6].any())


def test_grey_views_have_one_colour_channel() -> None:
    view = denormalise(distorted_view(IMAGES, 32, generator(1), min_scale=1.0, jitter=0.0, grey=1.0, blur=0.0))
    assert torch.allclose(view, view[:, :1].expand_as(view), atol=1e-6)
