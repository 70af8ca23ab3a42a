"""A `torch.utils.data.Dataset` of Python as a source: an item is an image, or an image and its class."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from selftaught.core.errors import own_code
from selftaught.core.files import digest
from selftaught.core.objects.registry import object_of
from selftaught.data.decode.values import Values, native
from selftaught.data.files.file_tree import Unreadable
from selftaught.data.files.splits import choose_split
from selftaught.data.sources.base import Entry, Source

_LOOKED_AT = 16
"""Items by whose pixels a change of the data is noticed."""
_TARGETS = ("targets", "labels", "y")
"""Attributes in which data sets keep the classes of their items."""
_COLOURS = 3
_MOST_CHANNELS = 512


@final
class OwnDataset(Source):
    """One split of a data set; its items are read one at a time, as few data sets can be read by several threads."""

    def __init__(self, name: str, dataset: Any, rows: Sequence[int], labels: Sequence[int] | None) -> None:
        self.name = name
        self.reads_channels = True
        self.entries = [Entry(f"{row:08d}", None if labels is None else labels[row]) for row in rows]
        self.provides = frozenset({"image"} if labels is None else {"image", "label"})
        self.classes = None if labels is None else _classes(dataset, labels)
        self.label_advice = "let its items be (image, class), with the class as a whole number"
        self._dataset, self._rows = dataset, list(rows)
        self._lock = threading.Lock()
        some = np.linspace(0, len(self._rows) - 1, min(_LOOKED_AT, len(self._rows))).astype(int).tolist()
        self.fingerprint = digest([type(dataset).__name__, repr(self._rows), *map(self._stamp, some)])

    def read(self, i: int) -> NDArray[np.uint8] | Values:
        with self._lock:
            try:
                item = self._dataset[self._rows[i]]
            except (OSError, MemoryError):
                raise
            except Exception as broken:
                raise Unreadable(f"{type(broken).__name__}: {' '.join(str(broken).split())}"[:300]) from None
        return image_of(item)

    def _stamp(self, i: int) -> str:
        try:
            found = self.read(i)
        except (OSError, ValueError) as broken:
            return str(broken)
        pixels = found.pixels if isinstance(found, Values) else found
        return digest([str(pixels.shape), pixels.tobytes().hex()])


def open_dataset(name: str, *, split: str, needs: frozenset[str], seed: int, held_out: float) -> OwnDataset:
    """One split of a data set that was passed to a public function; drawn by seed."""
    dataset = object_of(name)
    if dataset is None:
        raise ValueError(
            f"{name} is a data set of another process; pass the object itself, as in selftaught.evaluate(run, dataset)"
        )
    if isinstance(dataset, type):
        raise ValueError(f"data is the class {dataset.__name__}; give an object of it, as {dataset.__name__}() is")
    cls = type(dataset).__name__
    lacks = [method for method in ("__len__", "__getitem__") if not hasattr(dataset, method)]
    if lacks:
        raise ValueError(
            f"data set {cls} has no {' and no '.join(lacks)}; give a path, or a torch.utils.data.Dataset of map style, "
            "with both"
        )
    with own_code(f"data set {cls}: __len__"):
        count = len(dataset)
    if not count:
        raise ValueError(f"data set {cls} holds no items; give one with images")
    try:
        first = dataset[0]
        image_of(first)
    except Exception as broken:
        why = f"{type(broken).__name__}: " if not isinstance(broken, ValueError) else ""
        raise ValueError(f"item 0 of data set {cls} cannot be used: {why}{' '.join(str(broken).split())}") from None
    labels = _labels(dataset, first, count) if needs & {"label", "labels"} else None
    if labels is None and _label_of(first) is not None:
        labels = _listed(dataset, count)
    keys = [f"{row:08d}" for row in range(count)]
    rows = choose_split(keys, None, split=split, seed=seed, held_out=held_out)
    return OwnDataset(name, dataset, rows, labels)


def image_of(item: Any) -> NDArray[np.uint8] | Values:
    """The image of an item: (H, W, 3) uint8, or `Values` of other numbers; `Unreadable` says what it is instead.

    Images of Pillow are shown as files are. Tensors are (C, H, W) or (H, W), arrays (H, W, C) or (H, W), of uint8 or
    other whole numbers as they are, of floats between 0 and 1.
    """
    image = item[0] if isinstance(item, list | tuple) and item else item
    if isinstance(image, dict):
        raise Unreadable(f"it is a dict of {', '.join(map(str, image))}; give the image, or (image, class)")
    if isinstance(image, Image.Image):
        return np.asarray(image.convert("RGB"))
    is_tensor = hasattr(image, "detach") and hasattr(image, "numpy")
    if not is_tensor and not isinstance(image, np.ndarray):
        raise Unreadable(f"it is of type {type(image).__name__}; give an image of Pillow, a tensor or an array")
    pixels: NDArray[Any] = image.detach().cpu().numpy() if is_tensor else np.asarray(image)
    if pixels.ndim == 3 and _is_turned(pixels.shape, is_tensor=is_tensor):
        right = "a tensor (C, H, W), x.permute(2, 0, 1)" if is_tensor else "an array (H, W, C), x.transpose(1, 2, 0)"
        raise Unreadable(f"it has the shape {tuple(pixels.shape)}; give {right}")
    if pixels.ndim == 3 and is_tensor:
        pixels = np.moveaxis(pixels, 0, 2)
    elif pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.ndim != 3 or pixels.shape[2] > _MOST_CHANNELS or pixels.dtype.kind not in "biuf":
        form = "(C, H, W)" if is_tensor else "(H, W, C)"
        raise Unreadable(f"it has the shape {tuple(image.shape)} and type {image.dtype}; give {form} of numbers")
    if pixels.dtype.kind == "f":
        low, high = float(np.nanmin(pixels)), float(np.nanmax(pixels))
        if low < 0 or high > 1:
            raise Unreadable(
                f"its values are {low:.3g} to {high:.3g}; give floats from 0 to 1, before any normalisation, or uint8"
            )
        pixels = (pixels * 255 + 0.5).astype(np.uint8)
    pixels = np.ascontiguousarray(native(pixels))
    return pixels if pixels.dtype == np.uint8 and pixels.shape[2] == _COLOURS else Values(pixels)


def _is_turned(shape: tuple[int, ...], *, is_tensor: bool) -> bool:
    """Whether channels are where the other kind of object has them: no image is one or three pixels wide or high."""
    channels, other = (shape[0], shape[2]) if is_tensor else (shape[2], shape[0])
    return other in (1, _COLOURS) and channels not in (1, _COLOURS)


def _label_of(item: Any) -> int | None:
    """The class of an item; None where it has none."""
    if not isinstance(item, list | tuple) or len(item) < 2:
        return None
    label = item[1]
    label = label.item() if hasattr(label, "item") and getattr(label, "ndim", 0) == 0 else label
    return int(label) if isinstance(label, int) and not isinstance(label, bool) else None


def _listed(dataset: Any, count: int) -> list[int] | None:
    """The classes that a data set keeps beside its items."""
    for name in _TARGETS:
        found = getattr(dataset, name, None)
        if found is not None and hasattr(found, "__len__") and len(found) == count:
            values = found.tolist() if hasattr(found, "tolist") else list(found)
            if all(isinstance(value, int) for value in values):
                return values
    return None


def _labels(dataset: Any, first: Any, count: int) -> list[int] | None:
    """The class of every item; all are read where the data set has no list of them."""
    if _label_of(first) is None:
        return None
    known = _listed(dataset, count)
    if known is not None:
        return known
    found: list[int] = []
    for row in range(count):
        try:
            label = _label_of(dataset[row])
        except Exception:  # the item is skipped, with its reason, when it is packed
            label = None
        found.append(-1 if label is None else label)
    return found


def _classes(dataset: Any, labels: Sequence[int]) -> tuple[str, ...]:
    most = max([*labels, 0]) + 1
    names = getattr(dataset, "classes", None)
    if isinstance(names, list | tuple) and len(names) >= most:
        return tuple(map(str, names))
    return tuple(map(str, range(most)))
