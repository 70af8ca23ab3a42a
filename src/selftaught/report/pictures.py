"""Pictures of a run folder as data URIs, small enough that a page of many runs stays a few megabytes."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Shrink:
    """How pictures are made smaller: photographs to `longest` pixels a side and WebP of `quality` (0 to 100)."""

    longest: int
    quality: int
    sheet: int


SHRINKS = (Shrink(256, 88, 1400), Shrink(160, 80, 1000), Shrink(112, 68, 700), Shrink(72, 50, 420))
"""From what looks best to what is smallest. 256 pixels are the sharpest that a card of the page can show."""
SMALL_FILE = 4096
"""A PNG of fewer bytes is passed on untouched."""

Uri = tuple[str, int, int]
"""Data URI, width, height in pixels."""


class Album:
    """Makes pictures part of the page, each in the size of one `Shrink`."""

    def __init__(self, shrink: Shrink = SHRINKS[0]) -> None:
        self.shrink = shrink

    def photograph(self, path: Path) -> Uri | None:
        """A picture at no more than `longest` pixels; None where the file is no picture."""
        return data_uri(path, longest=self.shrink.longest, quality=self.shrink.quality)

    def sheet(self, path: Path) -> Uri | None:
        """Many pictures in one, at no more than `sheet` pixels a side."""
        return data_uri(path, longest=self.shrink.sheet, quality=self.shrink.quality)

    def exact(self, path: Path) -> Uri | None:
        """Every pixel as it is: kernels, which are magnified."""
        return data_uri(path, exact=True)


def data_uri(path: Path, *, longest: int = 256, quality: int = 88, exact: bool = False) -> Uri | None:
    """The picture as (data URI, width, height in pixels), or None where the file is no picture.

    Photographs become WebP, a fifth of their PNG. `exact` keeps every pixel.
    """
    from PIL import Image, UnidentifiedImageError

    data = path.read_bytes()
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            is_png = image.format == "PNG"
            if is_png and (exact or (len(data) <= SMALL_FILE and max(image.size) <= longest)):
                return _uri(data, "png"), image.width, image.height
            shown = image.convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    if not exact:
        shown.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    target = io.BytesIO()
    shown.save(target, "WEBP", quality=quality, lossless=exact, method=4)
    return _uri(target.getvalue(), "webp"), shown.width, shown.height


def _uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
