"""DICOM files, by pydicom: each frame is an image, with the values of the modality (such as Hounsfield units)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from selftaught.core.settings.values import ValueRange
from selftaught.data.decode.containers.base import Box, ImageFile, Place, numbered, unreadable
from selftaught.data.decode.values import Values
from selftaught.data.files.file_tree import Unreadable

_HEADER = (
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "PatientID"),
    *("BitsAllocated", "SOPClassUID", "WindowCenter", "WindowWidth"),
)


@final
class DicomFile(ImageFile):
    """The frames of a DICOM file.

    Numbers are rescaled by its slope and intercept. Its first window is used where no range is known for all of the
    data; MONOCHROME1 is inverted, and colours become RGB.
    """

    def __init__(self, place: Place, key: str, channels: int) -> None:
        import pydicom

        self._place = place
        with _quiet():
            head = pydicom.dcmread(place, stop_before_pixels=True, specific_tags=list(_HEADER))
            rows, columns = int(head.get("Rows") or 0), int(head.get("Columns") or 0)
            if not rows or not columns:
                kind = getattr(head.get("SOPClassUID"), "name", "") or "no image"
                raise Unreadable(f"a DICOM file without pixels ({kind})")
            self._size = rows, columns
            self.names = numbered(max(1, int(head.get("NumberOfFrames") or 1)))
            self.group = str(head.get("PatientID") or "")

    def size(self, number: int) -> tuple[int, int]:
        return self._size

    def read(self, number: int, box: Box | None = None) -> Values:
        import pydicom
        from pydicom.pixels.processing import apply_color_lut
        from pydicom.pixels.utils import pixel_array

        with _quiet():
            place = self._place if isinstance(self._place, str) else self._place.__class__(self._place.getvalue())
            data = pydicom.dcmread(place)
            photometric = str(data.get("PhotometricInterpretation") or "")
            pixels: NDArray[Any] = pixel_array(data, index=number)
            if photometric == "PALETTE COLOR":
                pixels = _eight_bits(apply_color_lut(pixels, data))
            window = None
            if pixels.ndim == 2:
                pixels, window = _modality(pixels, data)
        pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
        if box is not None:
            pixels = pixels[box.top : box.top + box.height, box.left : box.left + box.width]
        return Values(np.ascontiguousarray(pixels), window, is_inverted=photometric == "MONOCHROME1")


def _modality(pixels: NDArray[Any], data: Any) -> tuple[NDArray[Any], ValueRange | None]:
    """Values of the modality, and the window of the file by the standard's linear function (PS3.3, C.11.2.1.2)."""
    from pydicom.pixels.processing import apply_modality_lut

    values = np.asarray(apply_modality_lut(pixels, data))
    if values.dtype == np.float64:
        values = values.astype(np.float32)
    centre, width = (_first(data.get(name)) for name in ("WindowCenter", "WindowWidth"))
    if centre is None or width is None or not np.isfinite((centre, width)).all() or width < 1:
        return values, None
    if str(data.get("VOILUTFunction") or "LINEAR") == "LINEAR" and width > 1:
        return values, ValueRange(centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2)
    return values, ValueRange(centre - width / 2, centre + width / 2)


def _first(value: Any) -> float | None:
    """Of a number or of several."""
    if value is None or value == "":
        return None
    several = isinstance(value, list | tuple) or (hasattr(value, "__len__") and not isinstance(value, str))
    return float(value[0]) if several and len(value) else None if several else float(value)


def _eight_bits(colours: NDArray[Any]) -> NDArray[np.uint8]:
    return (colours >> 8).astype(np.uint8) if colours.dtype == np.uint16 else colours.astype(np.uint8)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without pydicom's warnings on values that break the standard, and with one exception for what it cannot read."""
    with unreadable("a readable DICOM file"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
