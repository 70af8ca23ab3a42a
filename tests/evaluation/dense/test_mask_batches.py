"""Pictures and their masks stay together through scale, crop and mirror."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from selftaught.core.randomness import generator
from selftaught.data.annotations.dense_sample import IGNORE
from selftaught.evaluation.dense.mask_batches import crop_with_masks
from selftaught.ops.colour import denormalise
from selftaught.ops.crop import scaled_boxes

FILL = IGNORE


def blocks(n: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Pictures whose grey value is 20 times the class of the pixel, in blocks of 6 pixels, and their masks."""
    coarse = torch.randint(0, 10, (n, 1, height // 6, width // 6), generator=generator("blocks")).float()
    masks = F.interpolate(coarse, scale_factor=6, mode="nearest")[:, 0].long()
    return (masks * 20).byte()[:, None].expand(-1, 3, -1, -1).contiguous(), masks


def test_the_whole_picture_comes_back_and_its_mirror_image() -> None:
    images, masks = blocks(2, 24, 24)
    sizes = torch.tensor([[24, 24], [24, 24]])
    boxes = torch.tensor([[0.0, 0, 24, 24], [0, 24, 24, -24]])
    found, cut = crop_with_masks(images, masks, sizes, boxes, 24)
    assert torch.equal(cut[0], masks[0])
    assert torch.equal(cut[1], masks[1].flip(1))
    assert torch.allclose(denormalise(found)[0, 0] * 255, masks[0] * 20.0, atol=1)
    assert torch.allclose(denormalise(found)[1, 0] * 255, masks[1].flip(1) * 20.0, atol=1)


def test_beyond_the_picture_is_the_mean_colour_and_no_class() -> None:
    images, masks = blocks(1, 24, 36)
    images[:, :, 18:], masks[:, 18:] = 0, 3  # the canvas below the picture, which must not be seen
    found, cut = crop_with_masks(images, masks, torch.tensor([[18, 36]]), torch.tensor([[-6.0, 24, 36, 36]]), 36)
    outside = torch.ones(36, 36, dtype=torch.bool)
    outside[6:24, :12] = False
    assert torch.equal(cut[0] == FILL, outside)
    assert (found[0][:, outside] == 0).all()  # normalised, so the mean
    assert torch.equal(cut[0, 6:24, :12], masks[0, :18, 24:])


def test_pictures_and_masks_stay_aligned_at_any_scale() -> None:
    images, masks = blocks(16, 48, 60)
    sizes = torch.tensor([[48, 60]] * 16)
    boxes = scaled_boxes(sizes, generator("boxes"))
    found, cut = crop_with_masks(images, masks, sizes, boxes, 48)
    told = cut != FILL
    nearest = (denormalise(found)[:, 0] * 255 / 20).round().long()
    assert (nearest == cut)[told].float().mean() > 0.75  # the rest are blends at borders of blocks
    assert (nearest == cut.flip(2))[told & told.flip(2)].float().mean() < 0.5


def test_boxes_are_squares_at_the_scales_asked_for_and_hold_the_picture_or_lie_in_it() -> None:
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
