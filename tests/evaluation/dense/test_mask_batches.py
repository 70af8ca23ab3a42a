"""Images and their masks stay together through scale, crop and mirror."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from selftaught.core.randomness import generator
from selftaught.data.annotations.dense_sample import IGNORE
from selftaught.evaluation.dense.mask_batches import (
    LONGEST,
    augment,
    crop_with_masks,
    join,
    shrink,
    shuffled,
    stack,
    training_batches,
    windows_of,
)
from selftaught.evaluation.models.exported.compare import sample_of
from selftaught.ops.colour import denormalise
from selftaught.ops.crop import scaled_boxes
from tests.evaluation.drawn_masks import Drawn

FILL = IGNORE


def blocks(n: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Images whose grey value is 20 times the class of the pixel, in blocks of 6 pixels, and their masks."""
    coarse = torch.randint(0, 10, (n, 1, height // 6, width // 6), generator=generator("blocks")).float()
    masks = F.interpolate(coarse, scale_factor=6, mode="nearest")[:, 0].long()
    return (masks * 20).byte()[:, None].expand(-1, 3, -1, -1).contiguous(), masks


def test_the_whole_image_comes_back_and_its_mirror_image() -> None:
    images, masks = blocks(2, 24, 24)
    sizes = torch.tensor([[24, 24], [24, 24]])
    boxes = torch.tensor([[0.0, 0, 24, 24], [0, 24, 24, -24]])
    found, cut = crop_with_masks(images, masks, sizes, boxes, 24)
    assert torch.equal(cut[0], masks[0])
    assert torch.equal(cut[1], masks[1].flip(1))
    assert torch.allclose(denormalise(found)[0, 0] * 255, masks[0] * 20.0, atol=1)
    assert torch.allclose(denormalise(found)[1, 0] * 255, masks[1].flip(1) * 20.0, atol=1)


def test_beyond_the_image_is_the_mean_colour_and_no_class() -> None:
    images, masks = blocks(1, 24, 36)
    images[:, :, 18:], masks[:, 18:] = 0, 3  # the canvas below the image, which must not be seen
    found, cut = crop_with_masks(images, masks, torch.tensor([[18, 36]]), torch.tensor([[-6.0, 24, 36, 36]]), 36)
    outside = torch.ones(36, 36, dtype=torch.bool)
    outside[6:24, :12] = False
    assert torch.equal(cut[0] == FILL, outside)
    assert (found[0][:, outside] == 0).all()  # normalised, so the mean
    assert torch.equal(cut[0, 6:24, :12], masks[0, :18, 24:])


def test_images_and_masks_stay_aligned_at_any_scale() -> None:
    images, masks = blocks(16, 48, 60)
    sizes = torch.tensor([[48, 60]] * 16)
    boxes = scaled_boxes(sizes, generator("boxes"))
    found, cut = crop_with_masks(images, masks, sizes, boxes, 48)
    told = cut != FILL
    nearest = (denormalise(found)[:, 0] * 255 / 20).round().long()
    assert (nearest == cut)[told].float().mean() > 0.75  # the rest are blends at borders of blocks
    assert (nearest == cut.flip(2))[told & told.flip(2)].float().mean() < 0.5


def test_boxes_are_squares_at_the_scales_asked_for_and_hold_the_image_or_are_in_it() -> None:
    sizes = torch.tensor([[40, 80], [90, 60]]).repeat(500, 1)
    top, left, height, width = scaled_boxes(sizes, generator("scales")).unbind(1)
    assert torch.equal(height, width.abs())
    scale = sizes.amin(1) / height
    assert scale.min() >= 0.5
    assert scale.max() <= 2
    assert abs(scale.mean() - 1.25) < 0.05
    assert 0.45 < (width < 0).float().mean() < 0.55
    left = torch.where(width < 0, left + width, left)
    for start, side, length in ((top, height, sizes[:, 0]), (left, height, sizes[:, 1])):
        inside = (start >= -1e-3) & (start + side <= length + 1e-3)
        around = (start <= 1e-3) & (start + side >= length - 1e-3)
        assert (inside | around).all()
    again = scaled_boxes(sizes, generator("scales"))
    assert torch.equal(again[:, 0], top)


CPU = torch.device("cpu")


@pytest.mark.parametrize(("height", "width"), [(30, 40), (40, 30), (32, 32), (90, 31), (33, 200)])
def test_windows_cover_the_image_and_join_to_it(height: int, width: int) -> None:
    sample = Drawn(1, 0, height=height, width=width).read(0)
    windows = windows_of(sample, 32)
    assert windows.images.shape[1:] == (3, 32, 32)
    assert min(windows.shape) == 32
    assert windows.starts[0] == 0
    assert windows.starts[-1] + 32 == max(windows.shape)
    assert all(b - a <= 32 for a, b in zip(windows.starts, windows.starts[1:], strict=False))
    joined = join(windows, torch.stack([torch.full((2, 32, 32), 3.0)] * len(windows.starts)))
    assert joined.shape == (2, height, width)
    assert torch.allclose(joined, torch.tensor(3.0))
    # A ramp along the long side that every window sees its own part of comes back as one ramp.
    ramp = torch.arange(max(windows.shape)).float()
    parts = torch.stack([ramp[start : start + 32].expand(1, 32, 32) for start in windows.starts])
    parts = parts.transpose(2, 3) if height > width else parts
    found = join(windows, parts)[0]
    found = found[:, 0] if height > width else found[0]
    assert (found.diff() > 0).all() or max(height, width) > max(windows.shape)
    assert abs(float(found[-1]) - max(windows.shape) + 1) < 1


def test_an_image_much_longer_than_wide_is_squeezed() -> None:
    for height, width in ((4, 5000), (5000, 4), (64, 1024), (1, 17)):
        windows = windows_of(sample_of(np.zeros((height, width, 3), np.uint8)), 32)
        assert sorted(windows.shape) == [32, 32 * LONGEST]
        assert len(windows.starts) == LONGEST
        assert join(windows, torch.ones(LONGEST, 2, 32, 32)).shape == (2, height, width)
    assert windows_of(Drawn(1, 0, height=40, width=600).read(0), 32).shape == (32, 480)


def test_batches_are_a_function_of_seed_and_step_and_take_every_image_once_an_epoch() -> None:
    samples = Drawn(6, 0)
    batches = list(training_batches(samples, steps=3, batch_size=4, size=32, seed=5))
    order = [*shuffled(6, 5, 0), *shuffled(6, 5, 1)]
    for step, batch in enumerate(batches):
        for place in range(4):
            assert torch.equal(batch.images[place], samples.read(int(order[4 * step + place])).image)
    first, second = (augment(batches[0], size=32, seed=5, step=0, device=CPU) for _ in range(2))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    assert not torch.equal(first[1], augment(batches[0], size=32, seed=5, step=1, device=CPU)[1])


def test_large_images_are_reduced_with_their_masks() -> None:
    sample = Drawn(1, 0, height=80, width=120).read(0)
    image, mask = shrink(sample, 40)
    assert image.shape == (3, 40, 60)
    assert mask.shape == (40, 60)
    assert sample.mask is not None
    assert torch.equal(mask, sample.mask[1::2, 1::2]) or torch.equal(mask, sample.mask[::2, ::2])
    batch = stack([(image, mask), shrink(Drawn(1, 0).read(0), 64)])
    assert batch.images.shape == (2, 3, 40, 60)
    assert batch.sizes.tolist() == [[40, 60], [36, 48]]
    assert (batch.masks[1, 36:] == IGNORE).all()
