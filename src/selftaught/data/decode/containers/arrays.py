"""NumPy files: `.npy` is an image or a stack, `.npz` holds such arrays by name, perhaps with their labels."""

from __future__ import annotations

import threading
import zipfile
from dataclasses import dataclass
from typing import IO, Any, Literal, final

import numpy as np
from numpy.typing import NDArray

from selftaught.core.settings.values import COLOURS
from selftaught.data.decode.containers.base import Box, ImageFile, Place, numbered
from selftaught.data.decode.npy import Header, map_npy, read_header, read_npy
from selftaught.data.decode.npz_damage import NPZ_DAMAGE
from selftaught.data.decode.values import Values, native
from selftaught.data.files.file_tree import Unreadable
from selftaught.data.files.splits import given_split

_LOCAL_HEADER = 30
_FEW = 4
"""A last axis that is so many times shorter than the others holds channels."""
_MOST_CHANNELS = 512


@dataclass(frozen=True)
class Axes:
    """How an array is read: `count` images (H, W, C), kept as "HWC", "CHW" or "HW" behind the axis of images."""

    count: int
    is_stack: bool
    order: Literal["HWC", "CHW", "HW"]
    height: int
    width: int
    channels: int


def axes_of(shape: tuple[int, ...], kind: str, channels: int, *, is_stack: bool = False) -> Axes | None:
    """How an array of this shape and kind of number (of `dtype.kind`) holds images; None where it cannot.

    The axis of channels is the last or the one before height and width, and has a length that images of `channels`
    have: 1, 3 and 4 of colours. Without such an axis the first one of three counts images, as it does where the array
    `is_stack`.
    """
    if kind not in "biuf" or not 2 <= len(shape) <= 4 or min(shape) < 1:
        return None
    if len(shape) == 2:
        return Axes(1, False, "HW", *shape, 1)
    allowed = (1, COLOURS, COLOURS + 1) if channels == COLOURS else (channels,)
    for several in (False, True) if len(shape) == 3 and not is_stack else (True,):
        one = shape[1:] if several else shape
        count = shape[0] if several else 1
        if len(one) == 2:
            return Axes(count, True, "HW", *one, 1)
        first, middle, last = one
        if last in allowed:
            return Axes(count, several, "HWC", first, middle, last)
        if first in allowed:
            return Axes(count, several, "CHW", middle, last, first)
        if last <= _MOST_CHANNELS and last * _FEW <= min(first, middle):
            return Axes(count, several, "HWC", first, middle, last)
        if len(shape) == 4 and first <= _MOST_CHANNELS and first * _FEW <= min(middle, last):
            return Axes(count, several, "CHW", middle, last, first)
    return None


@final
class ArrayFile(ImageFile):
    """The images of a `.npy` or `.npz` file.

    Plain arrays are mapped and read in place; a compressed one of a `.npz` is unpacked when it is first read.
    """

    is_windowed = True

    def __init__(self, place: Place, key: str, channels: int) -> None:
        self._place = place
        self._lock = threading.Lock()
        self._arrays: dict[str, NDArray[Any]] = {}
        try:
            headers = self._headers(is_archive=key.lower().endswith(".npz"))
        except NPZ_DAMAGE as broken:
            raise Unreadable(f"not a whole NumPy file ({' '.join(str(broken).split())})") from None
        found = {
            name: axes_of(shape, kind.kind, channels, is_stack=name.endswith("images"))
            for name, (shape, kind, _) in headers.items()
            if not name.endswith(("label", "labels"))
        }
        axes = {name: one for name, one in found.items() if one is not None}
        if not axes:
            shapes = ", ".join(f"{name or 'one'} {shape} {kind}" for name, (shape, kind, _) in headers.items())
            raise Unreadable(f"holds no array of images: {shapes or 'it is empty'}"[:300])
        self._images = [(name, one, i) for name, one in axes.items() for i in range(one.count)]
        self.names = self._named(axes, is_archive="" not in headers)
        self._read_labels(headers, axes)

    def size(self, number: int) -> tuple[int, int]:
        _, axes, _ = self._images[number]
        return axes.height, axes.width

    def read(self, number: int, box: Box | None = None) -> Values:
        name, axes, i = self._images[number]
        array = self._array(name)
        one = array[i] if axes.is_stack else array
        window = slice(None), slice(None)
        if box is not None:
            window = slice(box.top, box.top + box.height), slice(box.left, box.left + box.width)
        one = one[:, *window] if axes.order == "CHW" else one[window]
        one = one[:, :, None] if axes.order == "HW" else np.moveaxis(one, 0, 2) if axes.order == "CHW" else one
        return Values(native(np.array(one)))

    def _named(self, axes: dict[str, Axes], *, is_archive: bool) -> tuple[str, ...]:
        if not is_archive:
            return numbered(len(self._images))
        return tuple(f"{name}/{number}".rstrip("/") for name, one in axes.items() for number in numbered(one.count))

    def _read_labels(self, headers: dict[str, Header], axes: dict[str, Axes]) -> None:
        """Labels are in an array `labels`, or `train_labels` beside `train_images`, as MedMNIST has them."""
        labels: dict[str, list[str]] = {}
        for name, one in axes.items():
            start = name[: -len("images")] if name.endswith("images") else f"{name}_"
            beside = next((x for x in (f"{start}labels", f"{start}label", "labels") if x in headers), None)
            if beside is None or headers[beside].kind.kind not in "iuU":
                continue
            shape = tuple(length for length in headers[beside].shape if length != 1)
            if shape == (one.count,) and one.is_stack:
                labels[name] = [str(value) for value in self._array(beside).ravel().tolist()]
        if labels:
            self.labels = tuple(labels[name][i] if name in labels else "" for name, _, i in self._images)
        splits = {name: name.split("_")[0] for name in axes if given_split(name.split("_")[0])}
        if len(splits) == len(axes) > 1:
            self.splits = tuple(splits[name] for name, _, _ in self._images)

    def _headers(self, *, is_archive: bool) -> dict[str, Header]:
        """By name; "" is that of a `.npy`."""
        if not is_archive:
            with self._opened() as file:
                return {"": read_header(file)}
        with self._opened() as file, zipfile.ZipFile(file) as archive:
            found = {}
            for member in archive.namelist():
                with archive.open(member) as part:
                    found[member.removesuffix(".npy")] = read_header(part)
            return found

    def _opened(self) -> IO[bytes]:
        if isinstance(self._place, str):
            return open(self._place, "rb")  # noqa: PTH123
        self._place.seek(0)
        return self._place.__class__(self._place.getvalue())

    def _array(self, name: str) -> NDArray[Any]:
        with self._lock:
            if name not in self._arrays:
                self._arrays[name] = self._mapped(name)
            return self._arrays[name]

    def _mapped(self, name: str) -> NDArray[Any]:
        path = self._place if isinstance(self._place, str) else None
        try:
            with self._opened() as file:
                if not name:
                    return map_npy(path, file) if path is not None else read_npy(file)
                with zipfile.ZipFile(file) as archive:
                    info = archive.getinfo(f"{name}.npy")
                    if path is not None and info.compress_type == zipfile.ZIP_STORED:
                        file.seek(info.header_offset)
                        local = file.read(_LOCAL_HEADER)
                        lengths = int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")
                        file.seek(info.header_offset + _LOCAL_HEADER + lengths)
                        return map_npy(path, file)
                    with archive.open(info) as part:
                        return read_npy(part)
        except NPZ_DAMAGE as broken:
            raise Unreadable(f"not a whole NumPy file ({' '.join(str(broken).split())})") from None
