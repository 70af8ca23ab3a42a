"""Files of one image in a common format, whose numbers or windows are read."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import final

import cv2
import numpy as np

from selftaught.core.settings.values import COLOURS
from selftaught.data.decode.containers.base import Box, ImageFile
from selftaught.data.decode.high_depth import quieten_opencv
from selftaught.data.decode.image import Decoding, decode_image, image_size, upright_as
from selftaught.data.decode.image_header import deep_header, orientation_of
from selftaught.data.decode.values import Values
from selftaught.data.files.file_tree import Unreadable


@final
class PlainFile(ImageFile):
    """An image that must be decoded whole; what was decoded stays until the file is let go.

    Args:
        read: gives the content of the file.
        channels: 3 for colours as people see them, else the channels as stored.
        max_pixels: a larger image is refused.
    """

    def __init__(self, read: Callable[[], bytes], *, channels: int, max_pixels: int) -> None:
        self._bytes, self._channels, self._max_pixels = read, channels, max_pixels
        self._lock = threading.Lock()
        self._whole: Values | None = None

    @property
    def held_bytes(self) -> int:
        return 0 if self._whole is None else self._whole.pixels.nbytes

    def size(self, number: int) -> tuple[int, int]:
        data = self._bytes()
        height, width = image_size(data)
        return (width, height) if orientation_of(data) >= 5 else (height, width)

    def read(self, number: int, box: Box | None = None) -> Values:
        with self._lock:
            if box is None:
                return self._decoded()
            self._whole = self._whole or self._decoded()
            whole = self._whole
        cut = whole.pixels[box.top : box.top + box.height, box.left : box.left + box.width]
        return Values(np.ascontiguousarray(cut), is_inverted=whole.is_inverted, has_alpha=whole.has_alpha)

    def _decoded(self) -> Values:
        data = self._bytes()
        header = deep_header(data)
        height, width = image_size(data)
        if height * width > self._max_pixels:
            raise Unreadable(
                f"claims {width} x {height} pixels, more than {self._max_pixels / 1e6:.3g} million; "
                "--max-image-pixels raises the limit"
            )
        if header is None and self._channels == COLOURS:
            return Values(decode_image(data, decoding=Decoding(max_pixels=self._max_pixels)))
        quieten_opencv()
        flags = cv2.IMREAD_UNCHANGED if self._channels != 1 else cv2.IMREAD_ANYDEPTH
        found = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        if found is None:
            raise Unreadable("its channels cannot be read; save it as PNG or TIFF")
        pixels = np.asarray(found)
        pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
        if pixels.shape[2] > 2:
            pixels = pixels[:, :, [2, 1, 0, *range(3, pixels.shape[2])]]
        has_alpha = pixels.shape[2] == COLOURS + 1
        turned = upright_as(pixels, orientation_of(data)) if flags == cv2.IMREAD_UNCHANGED else pixels
        return Values(turned, is_inverted=header is not None and header.is_inverted, has_alpha=has_alpha)
