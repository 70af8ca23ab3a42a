"""The pixels of a decoded frame: its brightness as the decoder gives it, its colours as RGB of another size."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter
from numpy.typing import NDArray

# PyAV 17 scales with all cores by default; here every video has its own thread already. With several, one frame in a
# thousand of more than 8 bits comes out wrong in a row (PyAV 17.0).
ONE_THREAD: dict[str, Any] = {"threads": 1} if int(av.__version__.split(".")[0]) >= 17 else {}

_PLANES_OF_COLOUR = frozenset(
    ("yuv420p", "yuv422p", "yuv444p", "yuv411p", "yuv410p", "yuvj420p", "yuvj422p", "yuvj444p")
)
_BRIGHTNESS_FIRST = _PLANES_OF_COLOUR | {"nv12", "gray"}
_BT601 = (0.299, 0.114)
_RED_AND_BLUE = {1: (0.2126, 0.0722), 2: _BT601, 5: _BT601, 6: _BT601, 9: (0.2627, 0.0593)}
"""Their shares in the brightness by FFmpeg's number of the colour space: BT.709, not stated, BT.601 twice, BT.2020."""


def luma(frame: Any) -> tuple[NDArray[np.uint8], int]:
    """The brightness of a decoded frame, (H, W), and its level of black.

    It is a view of the frame where the decoder gives 8 bits.
    """
    if frame.format.name in _BRIGHTNESS_FIRST and frame.planes[0].line_size >= frame.width:
        return _view(frame.planes[0], frame.height, frame.width), 0 if _is_full(frame) else 16
    grey = frame.reformat(format="gray", **ONE_THREAD)
    return _view(grey.planes[0], grey.height, grey.width), 0


class ToRGB:
    """Decoded frames as RGB of another size.

    The planes of 8 bits that nearly all videos have are scaled by OpenCV, before they are turned into RGB: FFmpeg's
    scaler, through which all others go, takes half as long again as both.
    """

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def __call__(self, frame: Any, height: int, width: int) -> NDArray[np.uint8]:
        """(height, width, 3) uint8."""
        planes = _planes(frame) if frame.format.name in _PLANES_OF_COLOUR and frame.colorspace in _RED_AND_BLUE else []
        if planes:
            scaled = cv2.merge([_scaled(plane, height, width) for plane in planes])
            return np.asarray(cv2.transform(scaled, _matrix(frame.colorspace, is_full=_is_full(frame))), np.uint8)
        how = Interpolation.AREA if frame.width > width else Interpolation.BICUBIC
        # Planes of their own: to packed RGB it is twice as slow, and darker by up to two levels at even widths.
        frame = self._reformatter.reformat(frame, width, height, "gbrp", interpolation=how, **ONE_THREAD)
        green, blue, red = _planes(frame)
        return np.asarray(cv2.merge([red, green, blue]), np.uint8)


def _is_full(frame: Any) -> bool:
    """Whether black is 0 and white 255, not 16 and 235."""
    name = frame.format.name
    return bool(name.startswith("yuvj") or name == "gray" or frame.color_range == ColorRange.JPEG)


def _planes(frame: Any) -> list[NDArray[np.uint8]]:
    """Views of all planes of a frame of 8 bits; none where its lines are stored from the last to the first."""
    planes = frame.planes
    return [_view(one, one.height, one.width) for one in planes] if planes[0].line_size >= frame.width else []


def _view(plane: Any, height: int, width: int) -> NDArray[np.uint8]:
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:height, :width]


def _scaled(plane: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Halved as often as it is more than twice as large, as averages of any area take many times as long."""
    rows, columns = plane.shape
    while rows > 2 * height or columns > 2 * width:
        rows, columns = rows // (1 + (rows > 2 * height)), columns // (1 + (columns > 2 * width))
        plane = np.asarray(cv2.resize(plane, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
    if (rows, columns) == (height, width):
        return plane
    return np.asarray(cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


@lru_cache
def _matrix(colorspace: int, *, is_full: bool) -> NDArray[np.float32]:
    """(3, 4) from brightness and the differences of blue and red from it, of 8 bits, to RGB of 8 bits."""
    red, blue = _RED_AND_BLUE[colorspace]
    green = 1 - red - blue
    light, colour, black = (1.0, 1.0, 0) if is_full else (255 / 219, 255 / 224, 16)
    of_blue, of_red = 2 * (1 - blue) * colour, 2 * (1 - red) * colour
    rgb = np.array(
        [[light, 0, of_red], [light, -blue / green * of_blue, -red / green * of_red], [light, of_blue, 0]], np.float64
    )
    # OpenCV counts in steps of 2 ** -10; rounded to them before the offset is taken, grey is exactly grey.
    rgb = np.round(rgb * 1024) / 1024
    return np.column_stack([rgb, -rgb @ (black, 128, 128)]).astype(np.float32)
