"""Images of any numbers: how they are shown, one channel or several; tiles that show nothing."""

from __future__ import annotations

import numpy as np
import pytest

from selftaught.core.settings.values import ValueRange
from selftaught.data.decode.values import EMPTY_TILE, Values, is_even, native
from selftaught.data.files.file_tree import Unreadable


def test_grey_numbers_are_shown_by_their_window_unless_the_data_have_a_range() -> None:
    pixels = np.array([[[-100], [0], [100], [600]]], np.int16)
    image = Values(pixels, ValueRange(0, 255))
    assert image.shown(None)[0].tolist() == [[0] * 3, [0] * 3, [100] * 3, [255] * 3]
    assert image.shown(ValueRange(-100, 410))[0, :, 0].tolist() == [0, 50, 100, 255]
    inverted = Values(pixels, ValueRange(0, 255), is_inverted=True)
    assert inverted.shown(None)[0, :, 0].tolist() == [255, 255, 155, 0]


def test_only_deep_numbers_without_a_window_need_a_range() -> None:
    assert Values(np.zeros((4, 4, 1), np.uint16)).is_deep
    assert not Values(np.zeros((4, 4, 1), np.uint16), ValueRange(0, 1)).is_deep
    assert not Values(np.zeros((4, 4, 1), np.uint8)).is_deep
    assert Values(np.array([[[True], [False]]])).shown(None)[0, :, 0].tolist() == [255, 0]


def test_eight_bits_are_colours_as_they_are() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    np.testing.assert_array_equal(Values(pixels).shown(ValueRange(0, 10)), pixels)
    grey = Values(pixels[:, :, :1], is_inverted=True).shown(None)
    np.testing.assert_array_equal(grey[:, :, 2], 255 - pixels[:, :, 0])


def test_every_channel_has_its_range() -> None:
    pixels = np.array([[[0, 100], [50, 300]]], np.uint16)
    shown = Values(pixels).in_channels((ValueRange(0, 255), ValueRange(100, 200)))
    assert shown.tolist() == [[[0, 0], [50, 255]]]
    with pytest.raises(Unreadable, match="has 2 channels, not the 5 of --channels"):
        Values(pixels).in_channels((ValueRange(0, 1),) * 5)
    with pytest.raises(Unreadable, match="has 2 channels; --channels 2 reads them"):
        Values(pixels).shown(None)
    with pytest.raises(Unreadable, match="has 4 channels"):
        Values(np.zeros((4, 4, 4), np.uint8)).shown(None)


def test_transparency_is_over_white() -> None:
    pixels = np.zeros((1, 2, 4), np.uint16)
    pixels[0, 0, 3] = 65535
    assert Values(pixels, has_alpha=True).shown(None)[0].tolist() == [[0, 0, 0], [255, 255, 255]]


def test_a_tile_without_content_is_refused_and_an_even_image_is_not() -> None:
    glass = np.random.default_rng(0).integers(240, 243, (20, 20, 3), dtype=np.uint8)
    assert is_even(glass)
    assert Values(glass).shown(None).shape == (20, 20, 3)
    with pytest.raises(Unreadable, match=EMPTY_TILE):
        Values(glass, is_tile=True).shown(None)
    with pytest.raises(Unreadable, match=EMPTY_TILE):
        Values(glass[:, :, :2], is_tile=True).in_channels((ValueRange(0, 255),) * 2)
    glass[5:10, 5:10] = 90
    assert Values(glass, is_tile=True).shown(None).shape == (20, 20, 3)


def test_numbers_of_other_machines_have_the_byte_order_of_this_one() -> None:
    assert native(np.array([1, 258], ">u2")).dtype == np.uint16
    assert native(np.array([1, 258], ">u2")).tolist() == [1, 258]
