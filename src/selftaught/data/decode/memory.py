"""Memory that images being decoded may take together: small ones at once, large ones one after the other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

_TOTAL = 512 << 20
"""Bytes; an image that needs more waits until it is alone."""
_SMALL = 16 << 20
"""Images that need less are not counted."""
_BYTES = {
    "JPEG": 5, "progressive JPEG": 10, "PNG": 8, "GIF": 9, "WEBP": 16, "TIFF": 12, "JPEG2000": 24, "AVIF": 18,
}  # fmt: skip
"""Bytes that decoding takes for each pixel, the decoder's own and the result's together."""
OTHERS = 12


class _Room:
    def __init__(self) -> None:
        self._free = threading.Condition()
        self._taken = 0

    @contextmanager
    def take(self, size: int) -> Iterator[None]:
        if size < _SMALL:
            yield
            return
        size = min(size, _TOTAL)
        with self._free:
            self._free.wait_for(lambda: self._taken + size <= _TOTAL)
            self._taken += size
        try:
            yield
        finally:
            with self._free:
                self._taken -= size
                self._free.notify_all()


_ROOM = _Room()


def room_for(size: int) -> AbstractContextManager[None]:
    """A block in which an image that needs `size` bytes is decoded."""
    return _ROOM.take(size)


def needed(kind: str, width: int, height: int) -> int:
    """Bytes that decoding an image of this format takes, an upper estimate."""
    return width * height * _BYTES.get(kind, OTHERS)
