from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from selftaught.core.randomness import generator
from selftaught.ops.sheet import (
    GAP,
    HELD,
    MOST_IN_STRIP,
    STRIP_SIDE,
    encode_picture,
    evenly,
    fit,
    flip_book,
    lay_out,
    lay_strip,
)
from selftaught.ops.sheet import numbered as with_numbers


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


def test_a_strip_has_its_frames_side_by_side_with_their_numbers() -> None:
    frames = torch.rand(3, 1, 20, 70, generator=generator("strip"))
    whole = lay_strip(frames)
    assert whole.shape == (3, 80, 3 * 280 + 2 * GAP), "enlarged four times"
    for t, frame in enumerate(frames):
        shown = whole[:, :, t * (280 + GAP) :][:, :, :280]
        assert torch.equal(shown[:, ::4, ::4], frame.expand(3, -1, -1))
    assert (whole[:, :, 280 : 280 + GAP] == 1).all()
    numbered = lay_strip(frames, (2, 0, 1))
    changed = (numbered != whole).any(0)
    for t in range(3):
        place = changed[:, t * (280 + GAP) :][:, :280]
        assert place[:14, :8].any(), "in the corner"
        assert not place[20:].any()
    assert not torch.equal(numbered[:, :14, :8], numbered[:, :14, 280 + GAP :][:, :, :8])
    each = [one[..., :280] for one in numbered.split(280 + GAP, 2)]
    book = flip_book(frames, (2, 0, 1))
    assert torch.equal(book, torch.stack([each[i // HELD] for i in range(3 * HELD)])), "each for a moment"
    assert torch.equal(with_numbers(frames[[0, 0]], 2), torch.stack([each[0], each[0]])), "one number of all"
    with pytest.raises(ValueError, match="strip of 3 frames must have as many numbers or none, got 2"):
        lay_strip(frames, (1, 0))


def test_a_long_strip_has_frames_evenly_chosen() -> None:
    frames = torch.linspace(0, 1, 23)[:, None, None, None].expand(23, 3, STRIP_SIDE, STRIP_SIDE)
    whole = lay_strip(frames)
    assert whole.shape[2] == MOST_IN_STRIP * (STRIP_SIDE + GAP) - GAP
    assert torch.allclose(whole[0, 0, :: STRIP_SIDE + GAP], torch.linspace(0, 1, MOST_IN_STRIP))
    assert evenly(5, 12) == [0, 1, 2, 3, 4]
