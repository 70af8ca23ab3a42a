from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image

from selftaught.core.randomness import generator
from selftaught.ops.sheet import encode_picture, fit, lay_out


def test_tile_i_is_where_the_format_says() -> None:
    tiles = torch.rand(7, 3, 4, 4, generator=generator("sheet"))
    whole = lay_out(tiles, columns=3, gap=2)
    assert whole.shape == (3, 3 * 4 + 2 * 2, 3 * 4 + 2 * 2)
    covered = torch.zeros(whole.shape[1:], dtype=torch.bool)
    for i, tile in enumerate(tiles):
        top, left = (i // 3) * 6, (i % 3) * 6
        assert torch.equal(whole[:, top : top + 4, left : left + 4], tile)
        covered[top : top + 4, left : left + 4] = True
    assert (whole[:, ~covered] == 1).all()


def test_png_keeps_every_level() -> None:
    picture = torch.arange(3 * 8 * 8).view(3, 8, 8) / 255
    read = np.asarray(Image.open(io.BytesIO(encode_picture(picture, "png"))))
    assert np.array_equal(read.transpose(2, 0, 1), np.arange(3 * 8 * 8).reshape(3, 8, 8))
    assert Image.open(io.BytesIO(encode_picture(picture, "jpg"))).format == "JPEG"


def test_enlarged_images_keep_their_pixels() -> None:
    picture = torch.rand(1, 3, 3, 3, generator=generator("sheet"))
    assert torch.equal(fit(picture, 6), picture.repeat_interleave(2, 2).repeat_interleave(2, 3))
    assert torch.allclose(fit(torch.full((1, 3, 64, 64), 0.3), 8), torch.full((1, 3, 8, 8), 0.3))
