"""torchvision's data sets by name, kept in the cache folder."""

from __future__ import annotations

import contextlib
import importlib
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from selftaught.core.files import cache_root, digest
from selftaught.data.files.content import fingerprint_of, stat_file
from selftaught.data.files.file_tree import FileTree, FolderTree
from selftaught.data.files.splits import choose_split, own_part
from selftaught.data.sources.base import Entry, Source


@dataclass(frozen=True)
class _Recipe:
    """How torchvision is asked for each split that a data set has."""

    cls: str
    parts: dict[str, dict[str, Any]]
    files: Callable[[Any], list[Any]] | None = None
    """Paths of the images; None where the data set holds an array `data`."""
    labels: str = "targets"


_TRAIN_TEST: dict[str, dict[str, Any]] = {"train": {"split": "train"}, "test": {"split": "test"}}
_THREE: dict[str, dict[str, Any]] = {**_TRAIN_TEST, "val": {"split": "val"}}
_FLAG: dict[str, dict[str, Any]] = {"train": {"train": True}, "test": {"train": False}}
_RECIPES = {
    "cifar10": _Recipe("CIFAR10", _FLAG),
    "cifar100": _Recipe("CIFAR100", _FLAG),
    "mnist": _Recipe("MNIST", _FLAG),
    "fashionmnist": _Recipe("FashionMNIST", _FLAG),
    "kmnist": _Recipe("KMNIST", _FLAG),
    "svhn": _Recipe("SVHN", _TRAIN_TEST, labels="labels"),
    "stl10": _Recipe("STL10", {**_TRAIN_TEST, "unlabelled": {"split": "unlabeled"}}, labels="labels"),
    # 320 pixels is enough for every usual --size, at a quarter of the download.
    "imagenette": _Recipe(
        "Imagenette",
        {"train": {"split": "train", "size": "320px"}, "val": {"split": "val", "size": "320px"}},
        files=lambda data: [path for path, _ in data._samples],
        labels="_samples",
    ),
    "flowers102": _Recipe("Flowers102", _THREE, files=lambda data: data._image_files, labels="_labels"),
    "food101": _Recipe("Food101", _TRAIN_TEST, files=lambda data: data._image_files, labels="_labels"),
    "dtd": _Recipe("DTD", _THREE, files=lambda data: data._image_files, labels="_labels"),
    "oxfordiiitpet": _Recipe(
        "OxfordIIITPet",
        {"train": {"split": "trainval"}, "test": {"split": "test"}},
        files=lambda data: data._images,
        labels="_labels",
    ),
    "eurosat": _Recipe("EuroSAT", {"": {}}, files=lambda data: [path for path, _ in data.samples]),
    "voc2007": _Recipe(
        "VOCDetection",
        {"train": {"year": "2007", "image_set": "trainval"}, "test": {"year": "2007", "image_set": "test"}},
        files=lambda data: data.images,
        labels="",
    ),
    "voc2012": _Recipe(
        "VOCDetection",
        {"train": {"year": "2012", "image_set": "train"}, "val": {"year": "2012", "image_set": "val"}},
        files=lambda data: data.images,
        labels="",
    ),
}


@final
class TorchvisionData(Source):
    """One split of a data set; `read` gives the bytes of a file, or the pixels where torchvision holds an array."""

    def __init__(
        self,
        entries: list[Entry],
        classes: tuple[str, ...] | None,
        pictures: list[str] | NDArray[np.uint8],
        fingerprint: str,
    ) -> None:
        self.entries = entries
        self.classes = classes
        self.provides = frozenset({"image", "label"} if classes else {"image"})
        self.fingerprint = fingerprint
        self._pictures = pictures

    def read(self, i: int) -> bytes | NDArray[np.uint8]:
        picture = self._pictures[i]
        return Path(picture).read_bytes() if isinstance(picture, str) else _as_rgb(picture)


def open_torchvision(
    name: str, *, split: str, needs: frozenset[str], download: bool, seed: int, held_out: float
) -> TorchvisionData:
    """One split of the data set `name`, from the folder torchvision in the cache folder."""
    recipe = _RECIPES[name]
    chosen = _choose_parts(recipe, split=split, needs=needs)
    parts = {part: _load(name, recipe, settings=recipe.parts[part], download=download) for part in chosen}
    keys: list[str] = []
    labels: list[int | None] = []
    for part, data in parts.items():
        count = len(recipe.files(data)) if recipe.files else len(data.data)
        try:
            found = _labels(data, recipe)
        except (TypeError, ValueError, LookupError) as broken:
            raise _damaged(name, broken) from broken
        if found and len(found) != count:
            raise _damaged(name, f"{count} images and {len(found)} labels")
        keys += [f"{name}/{part or 'all'}/{i:06d}" for i in range(count)]
        labels += found or [None] * count
    if recipe.files is not None:
        files = [str(path) for data in parts.values() for path in recipe.files(data)]
        stamps = [fingerprint_of([stat_file(file, Path(file).name) for file in files])]
        pictures: list[str] | NDArray[np.uint8] = files
    else:
        pictures = np.concatenate([np.asarray(data.data) for data in parts.values()])
        some = np.ascontiguousarray(pictures[:: max(1, len(pictures) // 1000)])
        stamps = [str(pictures.shape), str(zlib.crc32(some.data))]
    if "" in parts:  # no splits of its own
        drawn = choose_split(keys, None, split=split, seed=seed, held_out=held_out)
        keys, labels = [keys[i] for i in drawn], [labels[i] for i in drawn]
        pictures = [pictures[i] for i in drawn] if isinstance(pictures, list) else pictures[drawn]
    classes = _classes(next(iter(parts.values())), labels)
    entries = [Entry(key, label) for key, label in zip(keys, labels, strict=True)]
    source = TorchvisionData(entries, classes, pictures, digest([name, *keys, *stamps]))
    names = [part for part in recipe.parts if part]
    source.part = own_part(names, {part: part for part in names}, split)
    return source


def _damaged(name: str, why: object) -> ValueError:
    reason = " ".join(str(why).split())[:200] or type(why).__name__
    return ValueError(
        f"data set {name} in {cache_root() / 'torchvision'} is damaged ({reason}); remove its files there and add "
        "--download to fetch them again"
    )


def torchvision_voc(name: str, *, download: bool) -> FileTree:
    """The files of voc2007 or voc2012 as torchvision keeps them; all parts are there, as the lists of all are read."""
    recipe = _RECIPES[name]
    for settings in recipe.parts.values():
        _load(name, recipe, settings=settings, download=download)
    return FolderTree(cache_root() / "torchvision" / "VOCdevkit" / name.upper())


def _choose_parts(recipe: _Recipe, *, split: str, needs: frozenset[str]) -> list[str]:
    """The parts to load; the splits stand in for each other as everywhere (`splits.choose_split`)."""
    names = list(recipe.parts)
    chosen = choose_split(
        names,
        {name: name for name in names if name},
        split=split,
        seed=0,
        held_out=0.5,
        labelled_only=bool(needs & {"label", "labels"}),
    )
    return [names[i] for i in chosen] if "" not in recipe.parts else [""]


def _load(name: str, recipe: _Recipe, *, settings: dict[str, Any], download: bool) -> Any:
    datasets = importlib.import_module("torchvision.datasets")
    root = cache_root() / "torchvision"
    build = getattr(datasets, recipe.cls)
    # torchvision prints, and standard output is for the answer.
    with contextlib.redirect_stdout(sys.stderr):
        try:
            # Without download first: some data sets refuse to download over what is there.
            return build(root=str(root), download=False, **settings)
        except (RuntimeError, OSError) as absent:
            if not download:
                raise ValueError(
                    f"data set {name} is not in {root} whole; add --download to fetch it, or put its files there"
                ) from absent
        except ImportError as absent:
            raise ValueError(f"data set {name} cannot be read: {absent}") from absent
        except Exception as broken:  # whatever a damaged file makes of the reader of each data set
            raise _damaged(name, broken) from broken
        root.mkdir(parents=True, exist_ok=True)
        try:
            return build(root=str(root), download=True, **settings)
        except Exception as refused:
            reason = " ".join(str(refused).split())[:200] or type(refused).__name__
            raise ValueError(
                f"data set {name} could not be downloaded to {root} ({reason}); check the network, or put the files of "
                "torchvision there"
            ) from refused


def _labels(data: Any, recipe: _Recipe) -> list[int | None] | None:
    if not recipe.labels:
        return None
    found = getattr(data, recipe.labels)
    values = [pair[1] for pair in found] if recipe.labels == "_samples" else np.asarray(found).tolist()
    return [int(value) if value >= 0 else None for value in values]


def _classes(data: Any, labels: list[int | None]) -> tuple[str, ...] | None:
    count = max((label + 1 for label in labels if label is not None), default=0)
    names = [name[0] if isinstance(name, tuple) else str(name) for name in getattr(data, "classes", None) or ()]
    if count == 0:
        return None
    return tuple(names) if len(names) >= count else tuple(str(n) for n in range(count))


def _as_rgb(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W), (H, W, 3) or (3, H, W) to (H, W, 3)."""
    if picture.ndim == 2:
        return np.repeat(picture[:, :, None], 3, axis=2)
    return picture if picture.shape[2] == 3 else np.ascontiguousarray(picture.transpose(1, 2, 0))
