"""Pictures of a run folder as data URIs, small enough that a page of many runs stays a few megabytes."""

from __future__ import annotations

import base64
import io
from pathlib import Path

LONGEST = 256
"""Pictures are shown at no more than this many pixels a side, the sharpest a card of the page can show."""
SMALL_FILE = 4096
"""A PNG of fewer bytes is passed on untouched."""


def data_uri(path: Path, *, exact: bool = False) -> tuple[str, int, int] | None:
    """The picture as (data URI, width, height in pixels), or None where the file is no picture.

    Photographs become WebP, a fifth of their PNG. `exact` keeps every pixel (kernels, which are magnified).
    """
    from PIL import Image, UnidentifiedImageError

    data = path.read_bytes()
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            is_png = image.format == "PNG"
            if is_png and (exact or (len(data) <= SMALL_FILE and max(image.size) <= LONGEST)):
                return _uri(data, "png"), image.width, image.height
            shown = image.convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    if not exact:
        shown.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    target = io.BytesIO()
    shown.save(target, "WEBP", quality=88, lossless=exact, method=4)
    return _uri(target.getvalue(), "webp"), shown.width, shown.height


def _uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
