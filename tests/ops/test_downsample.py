"""Halving an image by each of four filters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from selftaught.ops.downsample import FILTERS, halve_pictures, halving_weights

PILLOW = (Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)


@pytest.mark.parametrize("number", range(4), ids=FILTERS)
def test_filters_are_pillows(number: int) -> None:
    picture = torch.rand(32, 32, generator=torch.Generator().manual_seed(0))
    theirs = np.asarray(Image.fromarray(picture.numpy()).resize((16, 16), PILLOW[number]))
    ours = halve_pictures(picture[None, None], torch.tensor([number]))[0, 0]
    assert torch.allclose(ours, torch.from_numpy(theirs.copy()), atol=1e-5)


def test_each_image_has_its_own_filter_and_flat_ones_stay_flat() -> None:
    images = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(1)).expand(5, 3, 24, 24)
    found = halve_pictures(images, torch.tensor([0, 1, 2, 3, 1]))
    assert torch.equal(found[1], found[4])
    assert all(float((found[i] - found[j]).abs().max()) > 0.02 for i in range(4) for j in range(i))
    flat = halve_pictures(torch.full((4, 3, 24, 24), 0.3), torch.arange(4))
    assert torch.allclose(flat, torch.full((4, 3, 12, 12), 0.3), atol=1e-6)
    assert torch.allclose(halving_weights(12, torch.device("cpu")).sum(2), torch.ones(4, 12))
