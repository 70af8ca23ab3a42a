"""Images of a run folder as data URIs, small enough that a page of many runs stays a few megabytes."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Shrink:
    """How small images are made.

    Attributes:
        photograph: longest side of an image of the data, pixels.
        drawing: of one with boxes or masks.
        sheet: of many images in one.
        quality: of WebP, 0 to 100.
        frames: most frames of a clip; one that has more is thinned out, and 1 shows the first alone.
        small: a PNG of fewer bytes is passed on untouched.
    """

    photograph: int
    drawing: int
    sheet: int
    quality: int
    frames: int
    small: int


SHRINKS = (
    Shrink(photograph=256, drawing=720, sheet=1400, quality=84, frames=32, small=2048),
    Shrink(photograph=160, drawing=480, sheet=1000, quality=74, frames=16, small=1024),
    Shrink(photograph=112, drawing=360, sheet=700, quality=62, frames=8, small=0),
    Shrink(photograph=72, drawing=240, sheet=420, quality=45, frames=1, small=0),
)
"""From what looks best, 256 pixels being the sharpest that a card of the page can show, to what is smallest."""

WIDE = 2.2
"""Width by height from which images need wider columns."""
MOST_FRAMES = 32
"""Frames of a clip that are read; runs write no more."""

Uri = tuple[str, int, int]
"""Data URI, width, height in pixels."""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """An image of the page's style: `name` is a CSS property that holds it, so that it may be shown many times."""

    name: str
    width: int
    height: int


class Album:
    """Makes images part of one page, in the sizes of one `Shrink`; None shows none."""

    def __init__(self, shrink: Shrink | None = SHRINKS[0]) -> None:
        self.shrink = shrink
        self._sheets: dict[str, Sheet] = {}
        self._photographs: dict[Path, Uri | None] = {}

    def photograph(self, path: Path) -> Uri | None:
        """An image of the data, or a strip of frames, which is as large as a drawing; None where it is no image."""
        if self.shrink is None:
            return None
        if path not in self._photographs:  # a sample that is near to several others is encoded once
            self._photographs[path] = data_uri(path, self.shrink, self._longest(path))
        return self._photographs[path]

    def clip(self, path: Path) -> Uri | None:
        """The moving image of a clip, of the size of its `photograph`; None where the file is no clip."""
        return clip_uri(path, self.shrink, self._longest(path)) if self.shrink else None

    def moving_drawing(self, path: Path) -> Uri | None:
        """The moving image of a clip, of the size of its `drawing`; None where the file is no clip."""
        return clip_uri(path, self.shrink, self.shrink.drawing) if self.shrink else None

    def drawing(self, path: Path) -> Uri | None:
        """An image with boxes or masks."""
        return data_uri(path, self.shrink, self.shrink.drawing) if self.shrink else None

    def exact(self, path: Path) -> Uri | None:
        """Every pixel as it is: kernels, which are magnified."""
        return data_uri(path, self.shrink, None) if self.shrink else None

    def sheet(self, path: Path, *, exact: bool = False) -> Sheet | None:
        """Many images in one. Random weights have the same in every run: they weigh once, in `style`."""
        found = (self.exact(path) if exact else data_uri(path, self.shrink, self.shrink.sheet)) if self.shrink else None
        if found is None:
            return None
        uri, width, height = found
        return self._sheets.setdefault(uri, Sheet(name=f"--p{len(self._sheets)}", width=width, height=height))

    def _longest(self, path: Path) -> int:
        assert self.shrink is not None
        return self.shrink.drawing if is_strip(path) else self.shrink.photograph

    def style(self) -> str:
        """CSS that holds the sheets."""
        return ":root{" + "".join(f"{sheet.name}:url({uri});" for uri, sheet in self._sheets.items()) + "}"


def is_strip(path: Path) -> bool:
    """Whether the file is an image so wide that it must be frames side by side."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            return image.width > WIDE * image.height
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False


def data_uri(path: Path, shrink: Shrink, longest: int | None) -> Uri | None:
    """The image as (data URI, width, height in pixels), or None where the file is no image.

    Photographs become WebP, a fifth of their PNG; where `longest` is None every pixel is kept.
    """
    from PIL import Image, UnidentifiedImageError

    data = path.read_bytes()
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            is_png = image.format == "PNG"
            if is_png and (longest is None or (len(data) <= shrink.small and max(image.size) <= longest)):
                return _uri(data, "png"), image.width, image.height
            shown = image.convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    if longest is not None:
        shown.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    target = io.BytesIO()
    shown.save(target, "WEBP", quality=shrink.quality, lossless=longest is None, method=4)
    return _uri(target.getvalue(), "webp"), shown.width, shown.height


def clip_uri(path: Path, shrink: Shrink, longest: int) -> Uri | None:
    """An animated WebP as (data URI, width, height in pixels) with sides of at most `longest`, thinned out.

    One that is small enough for the best quality is passed on untouched, as encoding it again would take seconds. None
    where the file is nothing of the kind or `shrink` has clips stand still.
    """
    from PIL import Image, UnidentifiedImageError

    frames: list[Image.Image] = []
    try:
        with Image.open(path, formats=["WEBP"]) as image:
            found, size = getattr(image, "n_frames", 1), image.size
            count = min(found, MOST_FRAMES)
            chosen = min(count, shrink.frames)
            if chosen < 2:
                return None
            for i in range(chosen):
                image.seek(i * count // chosen)
                frame = image.convert("RGB")
                frame.thumbnail((longest, longest), Image.Resampling.LANCZOS)
                frames.append(frame)
            shown = round(image.info["duration"] * count / chosen)  # milliseconds; all frames of a run last as long
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError):
        return None
    if found == chosen and max(size) <= longest and shrink is SHRINKS[0]:
        return _uri(path.read_bytes(), "webp"), *size
    target = io.BytesIO()
    first, *others = frames
    first.save(target, "WEBP", save_all=True, append_images=others, duration=shown, loop=0, quality=shrink.quality)
    return _uri(target.getvalue(), "webp"), first.width, first.height


def _uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
