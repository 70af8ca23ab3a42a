"""Images as numbers of any type, before they are shown: of microscopes, scanners, satellites and arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selftaught.core.settings.values import COLOURS, ValueRange
from selftaught.data.decode.high_depth import scaled, to_uint8
from selftaught.data.files.file_tree import Unreadable

_EVEN = 4
"""Levels of 256 within which 98 % of a tile's pixels are where it shows nothing, as the glass of a slide does."""


@dataclass(frozen=True)
class Values:
    """An image (H, W, C) as its file has the numbers.

    Attributes:
        window: values that its file says are black and white, used where no range is known for all of the data.
        is_inverted: whether the largest value is black.
        has_alpha: whether the last of four channels is transparency.
        is_tile: whether it was cut from a larger image, so that it is left out where it shows nothing.
    """

    pixels: NDArray[Any]
    window: ValueRange | None = None
    is_inverted: bool = False
    has_alpha: bool = False
    is_tile: bool = False

    @property
    def is_deep(self) -> bool:
        """Whether a range must be chosen to show it."""
        return self.pixels.dtype not in (np.uint8, np.bool_) and self.window is None

    def shown(self, value_range: ValueRange | None) -> NDArray[np.uint8]:
        """(H, W, 3) as people see it; `value_range` is that of all of the data.

        Raises:
            Unreadable: for another number of channels than 1 or 3, and for a tile without content.
        """
        pixels = _whole_numbers(self.pixels)
        channels = pixels.shape[2]
        if channels not in (1, COLOURS) and not (channels == COLOURS + 1 and self.has_alpha):
            raise Unreadable(f"has {channels} channels; --channels {channels} reads them")
        if pixels.dtype == np.uint8 and not self.has_alpha:
            shown = np.repeat(pixels, 3, 2) if channels == 1 else np.ascontiguousarray(pixels)
            shown = 255 - shown if self.is_inverted else shown
        else:
            shown = to_uint8(pixels, self.window if value_range is None else value_range, is_inverted=self.is_inverted)
        self._refuse_even(shown)
        return shown

    def in_channels(self, ranges: tuple[ValueRange, ...]) -> NDArray[np.uint8]:
        """(H, W, C) with the range of each channel as 0 to 255.

        Raises:
            Unreadable: for another number of channels than that of `ranges`, and for a tile without content.
        """
        pixels = _whole_numbers(self.pixels)
        if pixels.shape[2] != len(ranges):
            has = "1 channel" if pixels.shape[2] == 1 else f"{pixels.shape[2]} channels"
            raise Unreadable(f"has {has}, not the {len(ranges)} of --channels")
        shown = np.empty(pixels.shape, np.uint8)
        for channel, (low, high) in enumerate(ranges):
            shown[:, :, channel] = scaled(pixels[:, :, channel], low, high)
        shown = 255 - shown if self.is_inverted else shown
        self._refuse_even(shown)
        return shown

    def _refuse_even(self, shown: NDArray[np.uint8]) -> None:
        if self.is_tile and is_even(shown):
            raise Unreadable(EMPTY_TILE)


EMPTY_TILE = "a tile that shows nothing, as all its pixels are alike"


def is_even(shown: NDArray[np.uint8]) -> bool:
    """Whether 98 % of the pixels of (H, W, C) are alike in every channel."""
    low, high = np.percentile(shown, (1, 99), axis=(0, 1))
    return bool((high - low).max() <= _EVEN)


def _whole_numbers(pixels: NDArray[Any]) -> NDArray[Any]:
    return pixels.astype(np.uint8) * 255 if pixels.dtype == np.bool_ else pixels


def native(pixels: NDArray[Any]) -> NDArray[Any]:
    """The same numbers in the byte order of this machine."""
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
