"""A folder of pictures, at any depth; classes and splits are its sub-folders, its `labels.csv` or its annotations."""

from __future__ import annotations

from typing import final

import numpy as np

from selftaught.sources.base import Entry, Source
from selftaught.sources.file_tree import FileTree
from selftaught.sources.layout import Layout, choose_entries, notes_of, own_part_of, tree_layout

IMAGE_SUFFIXES = frozenset(
    {
        ".jpg", ".jpeg", ".jfif", ".jpe", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff",
        ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".avif", ".tga",
    }
)  # fmt: skip


@final
class ImageFolder(Source):
    """One split of the pictures in a folder or zip; `read` gives the bytes of the file."""

    def __init__(self, tree: FileTree, entries: list[Entry], layout: Layout) -> None:
        self.name = tree.where
        self.entries = entries
        self.classes = layout.classes
        self.provides = frozenset({"image"})
        self._tree = tree
        self.fingerprint = tree.fingerprint([entry.key for entry in entries])
        if layout.many:
            self.provides |= {"labels"}
        elif layout.classes:
            self.provides |= {"label"}
        if layout.targets is not None:
            none = np.full(len(layout.classes or ()), -1, np.int8)
            self.targets = np.stack([layout.targets.get(entry.key, none) for entry in entries])

    def read(self, i: int) -> bytes:
        return self._tree.read(self.entries[i].key)


def open_image_folder(tree: FileTree, *, split: str, needs: frozenset[str], seed: int, held_out: float) -> ImageFolder:
    """One split of the pictures of a folder or zip; masks of pictures are none."""
    pictures = [key for key in tree.keys if is_picture(key)]
    if not pictures:
        raise ValueError(
            f"{tree.where} holds no pictures among its {len(tree.keys)} files; give files such as .jpg or .png "
            "(videos must lie in a folder, not in a zip)"
        )
    keys, layout = tree_layout(tree, pictures, needs)
    entries = choose_entries(keys, layout, split=split, needs=needs, seed=seed, held_out=held_out, where=tree.where)
    source = ImageFolder(tree, entries, layout)
    source.part = own_part_of(keys, layout, split)
    source.notes = [*tree.notes, *notes_of(keys, layout, needs)]
    return source


def is_picture(key: str) -> bool:
    """Whether the end of the name is one of a picture format."""
    return key[key.rfind(".") :].lower() in IMAGE_SUFFIXES  # not PurePath.suffix: called for 100,000 names
