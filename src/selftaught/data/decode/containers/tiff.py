"""TIFF stacks, images of many channels and whole slides, by tifffile: pages and windows, never a whole large file."""

from __future__ import annotations

import logging
import math
import threading
import weakref
from collections.abc import Iterator
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from selftaught.core.settings.values import COLOURS
from selftaught.data.decode.containers.base import Box, ImageFile, Place, unreadable
from selftaught.data.decode.values import Values, native
from selftaught.data.files.file_tree import Unreadable

_SLIDES = ("svs", "ndpi", "scn", "bif", "philips", "avs")
"""Formats whose first series is the slide, and all others its label and overviews."""
_JPEG = (6, 7, 33007, 34892)
_RGBA_EXTRA = (1, 2)
"""TIFF's ExtraSamples that are transparency."""


@final
class TiffImages(ImageFile):
    """The images of a TIFF file: every index of its axes but height, width and channels is an image.

    Of pyramids the finest level, of slides the slide alone. Axes are those of OME, ImageJ or tifffile where the file
    says them, else pages; where as many channels are asked for as a file has pages, its pages are the channels.
    """

    is_windowed = True

    def __init__(self, place: Place, key: str, channels: int) -> None:
        import tifffile

        logging.getLogger("tifffile").setLevel(logging.CRITICAL)
        self._lock = threading.Lock()
        self._place = place if isinstance(place, str) else None
        with unreadable("a whole TIFF file"):
            self._file = tifffile.TiffFile(place)
            weakref.finalize(self, self._file.close)
            self._file.filehandle.set_lock(True)
            found = list(self._file.series)
            is_slide = any(getattr(self._file, f"is_{kind}", False) for kind in _SLIDES)
            shown = [one for one in found[: 1 if is_slide else None] if _is_image(one)]
            if not shown:
                raise Unreadable("a TIFF file without an image")
            self._series = [_Series(one, channels) for one in shown]
        self._images = [(one, index) for one in self._series for index in np.ndindex(one.outer)]
        self.names = tuple(self._named())

    def size(self, number: int) -> tuple[int, int]:
        return self._images[number][0].size

    def read(self, number: int, box: Box | None = None) -> Values:
        series, index = self._images[number]
        box = box or Box(0, 0, *series.size)
        with unreadable("a whole TIFF file"):
            planes = [self._plane(series, at, box) for at in series.planes(index)]
        pixels = np.concatenate(planes, 2)
        return Values(native(pixels), is_inverted=series.is_inverted, has_alpha=series.has_alpha)

    def _named(self) -> Iterator[str]:
        """The index of each image along every axis that has several, after the number of its series."""
        for place, series in enumerate(self._series):
            before = [f"{place:0{len(str(len(self._series) - 1))}d}"] if len(self._series) > 1 else []
            digits = [len(str(length - 1)) for length in series.outer]
            for index in np.ndindex(series.outer):
                own = [f"{at:0{d}d}" for at, d, n in zip(index, digits, series.outer, strict=True) if n > 1]
                yield ".".join([*before, *own])

    def _plane(self, series: _Series, at: int, box: Box) -> NDArray[Any]:
        """(h, w, c) of one page, or of one plane of a series that is stored in one piece."""
        if series.pages is None:
            return series.channels_last(self._mapped(series), at, box)
        page = series.pages[at]
        if page is None:
            raise Unreadable("a page is missing")
        return _window(page, box, self._lock, self._place)

    def _mapped(self, series: _Series) -> NDArray[Any]:
        kind, shape, offset = series.piece
        if self._place is not None:
            return np.memmap(self._place, kind, "r", offset, shape)
        with self._lock:
            handle = self._file.filehandle
            handle.seek(offset)
            return np.frombuffer(handle.read(kind.itemsize * math.prod(shape)), kind).reshape(shape)


class _Series:
    """How the images of one series are found.

    Attributes:
        outer: length of each axis that counts images.
        size: height and width.
        pages: those of tifffile, None for a series in one piece.
    """

    def __init__(self, series: Any, channels: int) -> None:
        axes, shape = str(series.axes), tuple(int(n) for n in series.shape)
        key = series.keyframe
        self.is_inverted = int(getattr(key, "photometric", 1) or 0) == 0 and int(key.samplesperpixel) == 1
        extra = tuple(int(x) for x in (key.extrasamples or ()))
        self.has_alpha = extra[-1:] != () and extra[-1] in _RGBA_EXTRA and int(key.samplesperpixel) == COLOURS + 1
        self.size = shape[axes.index("Y")], shape[axes.index("X")]
        self._axes, self._shape = axes, shape
        in_page = len(str(key.axes))
        self._channel = _channel_axis(axes, shape, channels)
        lead = len(axes) - in_page
        self.pages = None if series.dataoffset is not None and lead else list(series.pages)
        self._lead = [i for i, axis in enumerate(axes) if axis not in "YX" and (axis != "S" or i < lead)]
        if self.pages is not None:
            self._lead = list(range(lead))
        else:
            kind = np.dtype(series.dtype).newbyteorder(series.parent.byteorder)
            self.piece = (kind, shape, int(series.dataoffset))
        self._outer = [i for i in self._lead if i != self._channel]
        self.outer = tuple(shape[i] for i in self._outer)

    def planes(self, index: tuple[int, ...]) -> list[int]:
        """The number of every page or plane that an image is made of, one for each channel that is a page."""
        own = dict(zip(self._outer, index, strict=True))
        lengths = tuple(self._shape[i] for i in self._lead)
        several = self._channel in self._lead
        channels = range(self._shape[self._channel]) if several and self._channel is not None else range(1)
        return [
            int(np.ravel_multi_index([own.get(i, c) for i in self._lead], lengths)) if lengths else 0 for c in channels
        ]

    def channels_last(self, whole: NDArray[Any], at: int, box: Box) -> NDArray[Any]:
        """(h, w, c) of a plane of a series in one piece."""
        rest = "".join(axis for i, axis in enumerate(self._axes) if i not in self._lead)
        lead = np.unravel_index(at, tuple(self._shape[i] for i in self._lead))
        pick: list[Any] = [slice(None)] * whole.ndim
        for i, value in zip(self._lead, lead, strict=True):
            pick[i] = int(value)
        one = whole[tuple(pick)]
        one = one[:, :, None] if "S" not in rest else np.moveaxis(one, rest.index("S"), 2)
        return np.array(one[box.top : box.top + box.height, box.left : box.left + box.width])


def _channel_axis(axes: str, shape: tuple[int, ...], channels: int) -> int | None:
    """The axis that holds the channels of an image: C where there are no samples S, else pages as asked for."""
    if "S" in axes:
        return axes.index("S")
    if "C" in axes:
        return axes.index("C")
    lead = [i for i, axis in enumerate(axes) if axis not in "YX"]
    is_asked = channels not in (1, COLOURS) and lead and shape[lead[-1]] == channels
    return lead[-1] if is_asked else None


def _is_image(series: Any) -> bool:
    axes, key = str(series.axes), series.keyframe
    return {"X", "Y"} <= set(axes) and not getattr(key, "is_reduced", False) and str(key.axes) in _PAGES


_PAGES = ("YX", "YXS", "SYX")


def _window(page: Any, box: Box, lock: threading.Lock, path: str | None) -> NDArray[Any]:
    """(h, w, c) of a page, from the strips or tiles that it touches."""
    key = page.keyframe
    kind = np.dtype(key.dtype)
    planes = int(key.samplesperpixel) if int(key.planarconfig) == 2 else 1
    samples = 1 if planes > 1 else int(key.samplesperpixel)
    if key.is_memmappable and path is not None and page.dataoffsets:
        stored = np.dtype(key.dtype).newbyteorder(key.parent.byteorder)
        shape = (planes, int(key.imagelength), int(key.imagewidth), samples)
        whole = np.memmap(path, stored, "r", int(page.dataoffsets[0]), shape)
        cut = whole[:, box.top : box.top + box.height, box.left : box.left + box.width]
        return np.array(np.moveaxis(cut, 0, 2)).reshape(box.height, box.width, planes * samples)
    out = np.zeros((box.height, box.width, planes, samples), kind)
    for plane in range(planes):
        for index in _segments(key, box, plane, planes):
            with lock:
                handle = page.parent.filehandle
                handle.seek(page.dataoffsets[index])
                data = handle.read(page.databytecounts[index])
                tables = page.jpegtables if int(key.compression) in _JPEG else None
            more = {"jpegtables": tables, "jpegheader": key.jpegheader} if int(key.compression) in _JPEG else {}
            piece, (_, _, top, left, _), _ = key.decode(data or None, index, **more)
            if piece is not None:
                _paste(out[:, :, plane], piece[0], top - box.top, left - box.left)
    return out.reshape(box.height, box.width, planes * samples)


def _segments(key: Any, box: Box, plane: int, planes: int) -> Iterator[int]:
    """Numbers of the strips or tiles that a window touches."""
    high = int(key.tilelength) if key.is_tiled else min(int(key.rowsperstrip), int(key.imagelength))
    wide = int(key.tilewidth) if key.is_tiled else int(key.imagewidth)
    across, down = -(-int(key.imagewidth) // wide), -(-int(key.imagelength) // high)
    for row in range(box.top // high, -(-(box.top + box.height) // high)):
        for column in range(box.left // wide, -(-(box.left + box.width) // wide)):
            yield (plane * down + row) * across + column


def _paste(out: NDArray[Any], piece: NDArray[Any], top: int, left: int) -> None:
    """Put a segment (h, w, c) at a place that may be partly outside."""
    height, width = out.shape[:2]
    first, last = max(0, top), min(height, top + piece.shape[0])
    begin, end = max(0, left), min(width, left + piece.shape[1])
    if first < last and begin < end:
        out[first:last, begin:end] = piece[first - top : last - top, begin - left : end - left]
