"""Masks and depth maps of images in a folder or zip, for tasks and probes that are given them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selftaught.core.files import digest
from selftaught.data.annotations.depth_folder import open_depth_folder
from selftaught.data.annotations.find import find_annotations
from selftaught.data.decode.image import image_size, upright_as
from selftaught.data.decode.image_header import orientation_of
from selftaught.data.files.file_tree import FileTree
from selftaught.data.sources.base import Entry, GivenMaps

MILLIMETRES = 1000.0
"""In a metre."""


@dataclass(frozen=True, kw_only=True)
class MapsOfTree:
    """The maps of one kind in a folder or zip.

    Attributes:
        keys: of the images that belong to them.
        wrong: what is wrong with the map of an image, by key.
        files: the files that hold the map of an image.
        read: the map (H, W) of the pixels of an image as stored; a ValueError names the file.
        splits: part of an image, by key; empty where the maps name none.
        classes: of the pixels, where they have some.
    """

    tree: FileTree
    dtype: np.dtype[Any]
    keys: frozenset[str]
    wrong: Mapping[str, str]
    files: Callable[[str], Sequence[str]]
    read: Callable[[str], NDArray[Any]]
    splits: Mapping[str, str] = field(default_factory=dict)
    classes: tuple[str, ...] = ()

    def of(self, entries: Sequence[Entry]) -> GivenMaps:
        """The maps of the entries of a source."""
        keys = [entry.key for entry in entries]
        files = sorted({file for key in keys for file in self.files(key)})

        def read(i: int, _second: float) -> NDArray[Any]:
            values = self.read(keys[i]).astype(self.dtype)
            image = self.tree.read(keys[i])
            high, wide = image_size(image)
            if values.shape != (high, wide):
                size = f"{values.shape[1]} x {values.shape[0]}"
                raise ValueError(f"the map of {keys[i]} is {size} pixels, but its image {wide} x {high}")
            return upright_as(values, orientation_of(image))

        known = [repr(self.classes), *keys, self.tree.fingerprint([*keys, *files])]
        return GivenMaps(fingerprint=digest(known), read=read)


def maps_of_tree(tree: FileTree, needs: frozenset[str]) -> dict[str, MapsOfTree]:
    """The maps that are needed, by kind; a ValueError of one sentence where there are none of them."""
    opened = {"mask": _masks, "depth": _depths}
    return {kind: opened[kind](tree) for kind in opened if kind in needs}


def _masks(tree: FileTree) -> MapsOfTree:
    found = find_annotations(tree, frozenset({"mask"}))
    return MapsOfTree(
        tree=tree,
        dtype=np.dtype(np.uint8),
        keys=frozenset(found.keys),
        wrong=found.wrong,
        files=found.files,
        read=found.mask,
        splits=found.splits,
        classes=found.classes,
    )


def _depths(tree: FileTree) -> MapsOfTree:
    found = open_depth_folder(tree)
    return MapsOfTree(
        tree=tree,
        dtype=np.dtype(np.float32),
        keys=frozenset({*found.pairs, *found.wrong}),
        wrong=found.wrong,
        files=lambda key: [found.pairs[key]] if key in found.pairs else [],
        read=lambda key: found.depth(key) / np.float32(MILLIMETRES),
    )
