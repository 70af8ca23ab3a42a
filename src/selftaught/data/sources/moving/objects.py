"""What moves: digits of scikit-learn, or the middles of photographs; no image is in two parts of the data."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cache
from typing import final

import cv2
import numpy as np
from numpy.typing import NDArray

from selftaught.core.files import digest
from selftaught.data.decode.fit import fit, window
from selftaught.data.decode.image import Decoding, Payload
from selftaught.data.files.splits import uniform
from selftaught.data.sources.base import Source
from selftaught.data.sources.moving.settings import DIGITS

Floats = NDArray[np.float32]
OpenImages = Callable[[str], Source]
"""Opens one split of the images that move."""
_SHARES = {"train": (0.0, 0.6), "held_out": (0.6, 0.8), "test": (0.8, 1.0)}
"""Which share of the digits is in which part."""
_EDGE = 0.3
"""Part of the radius in which the middle of a photograph fades into the ground."""


class Objects(ABC):
    """The images of one part.

    Attributes:
        classes: names of the classes, or None.
        labels: class of each image, None where it has none.
        fingerprint: changes when the images do.
    """

    classes: tuple[str, ...] | None
    labels: Sequence[int | None]
    fingerprint: str

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def cut(self, i: int, size: int) -> Floats:
        """Object `i`, (size, size, 4) in [0, 1]: RGB times opacity, and the opacity.

        An OSError or `Unreadable` says why it cannot be read. May be called from several threads.
        """


@final
class Digits(Objects):
    """Digits of 8 x 8 pixels that people wrote, enlarged; white."""

    def __init__(self, split: str) -> None:
        images, labels = _digits()
        low, high = _SHARES[split]
        rows = [i for i in range(len(images)) if low <= uniform(0, f"digits/{i}") < high]
        self.images = images[rows]
        self.labels = labels[rows].tolist()
        self.classes = tuple(str(digit) for digit in range(10))
        self.fingerprint = digest(["digits 1", *map(str, rows)])

    def cut(self, i: int, size: int) -> Floats:
        ink = cv2.resize(self.images[i], (size, size), interpolation=cv2.INTER_CUBIC).clip(0, 1)
        return np.repeat(ink[:, :, None], 4, axis=2)


@final
class Photographs(Objects):
    """The entries `rows` of a source of images; what moves is the disc in the middle, with a soft edge."""

    def __init__(self, source: Source, rows: Sequence[int]) -> None:
        self._source, self._rows = source, rows
        self.classes = source.classes
        self.labels = [source.entries[row].label for row in rows]
        self.fingerprint = digest([source.fingerprint, *map(str, rows)])
        self._expected: set[int] = set()
        self._kept: dict[int, Payload | Exception] | None = None
        self._reading = threading.Lock()

    def expect(self, images: set[int]) -> None:
        """Say which images will be read: a source that is slow to read one by one is then read in order, once."""
        self._expected = images

    def cut(self, i: int, size: int) -> Floats:
        from_centre = (np.arange(size) + 0.5) / size * 2 - 1
        radius = np.hypot(from_centre[:, None], from_centre[None, :])
        opacity = ((1 - radius) / _EDGE).clip(0, 1).astype(np.float32)[:, :, None]
        return np.concatenate([self.photograph(i, size) * opacity, opacity], axis=2)

    def photograph(self, i: int, size: int) -> Floats:
        """Its middle as a square, (size, size, 3) RGB in [0, 1]; errors as of `cut`."""
        pixels = fit(self._payload(i), side=size, decoding=Decoding())
        return window(pixels, side=size, y=0.5, x=0.5).astype(np.float32) / np.float32(255)

    def _payload(self, i: int) -> Payload:
        if self._source.random_access or i not in self._expected:
            return self._source.read(self._rows[i])
        with self._reading:
            if self._kept is None:
                wanted = {self._rows[image] for image in self._expected}
                self._kept = {row: payload for row, payload in self._source.iterate() if row in wanted}
        payload = self._kept[self._rows[i]]
        if isinstance(payload, Exception):
            raise payload
        return payload


def open_objects(data: str, split: str, open_images: OpenImages) -> Objects:
    """The digits or photographs of "train", "held_out" or "test".

    Photographs have the parts of their data; those that the data would use for both evaluations are divided.
    """
    if data == DIGITS:
        return Digits(split)
    source = open_images(split)
    if "image" not in source.provides or "video" in source.provides:
        raise ValueError(f"moving:{data} needs images, and {data} holds none; give a folder or data set of images")
    rows = list(range(len(source)))
    if split != "train":
        shared = {entry.key for entry in open_images("test" if split == "held_out" else "held_out").entries}
        rows = [row for row in rows if _is_in(split, source.entries[row].key, shared)]
    if len(rows) < 2:
        raise ValueError(
            f"moving:{data} needs two or more images in each part, and the {split.replace('_', '-')} part has "
            f"{len(rows)}; give more images"
        )
    return Photographs(source, rows)


def _is_in(split: str, key: str, shared: set[str]) -> bool:
    return key not in shared or (uniform(0, f"moving/{key}") < 0.5) == (split == "held_out")


@cache
def _digits() -> tuple[Floats, NDArray[np.int64]]:
    """(1797, 8, 8) in [0, 1], and which digit each is."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return (found.images / 16).astype(np.float32), found.target.astype(np.int64)
