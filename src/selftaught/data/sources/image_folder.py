"""A folder of images, at any depth; classes and splits are its sub-folders, its `labels.csv` or its annotations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from selftaught.core.files import digest
from selftaught.core.names import one_line
from selftaught.data.decode.containers.opening import Reading
from selftaught.data.decode.image import Payload
from selftaught.data.decode.values import Values
from selftaught.data.files.file_kinds import (
    extra_advice,
    is_array,
    is_picture,
    is_scientific,
    starts_like_picture,
    suffix_of,
    told_kinds,
)
from selftaught.data.files.file_tree import FileTree
from selftaught.data.files.frame_folders import frame_folders
from selftaught.data.files.hints import NO_HINTS, Hints
from selftaught.data.files.labels_file import LABELS_FILE
from selftaught.data.files.left_out import LeftOut, left_out_as, other_kinds
from selftaught.data.files.splits import own_part
from selftaught.data.files.tables.found_tables import find_table
from selftaught.data.sources.base import Entry, Source
from selftaught.data.sources.given_maps import MapsOfTree, maps_of_tree
from selftaught.data.sources.layout import (
    Layout,
    choose_entries,
    in_no_part,
    notes_of,
    table_folder,
    text_in,
    tree_layout,
    with_groups,
)
from selftaught.data.sources.stacks.file_images import FileImages, expand

_TILES_LOOKED_AT = 48
"""Tiles by which sizes and ranges are known, as each may need its whole image to be decoded."""


@final
class ImageFolder(Source):
    """One split of the images in a folder or zip; `read` gives the bytes of a file, or an image of several in it."""

    def __init__(self, tree: FileTree, entries: list[Entry], layout: Layout, images: _Images | None = None) -> None:
        self.name = tree.where
        self.entries = entries
        self.provides = frozenset({"image"})
        self.reads_channels = self.reads_tiles = True
        files = [entry.key if images is None else images.file_of[entry.key][0] for entry in entries]
        self.fingerprint = tree.fingerprint(list(dict.fromkeys(files)))
        if images is not None:
            self.fingerprint = digest([self.fingerprint, repr(images.reading), *(entry.key for entry in entries)])
        self._images = images
        self._tree = tree
        layout.tell(self)

    def take(self, maps: Mapping[str, MapsOfTree], needs: frozenset[str]) -> None:
        """Provide the maps; without labels the classes are those of the pixels."""
        self.maps = {kind: found.of(self.entries) for kind, found in maps.items()}
        self.provides |= set(maps)
        if "mask" in maps and not needs & {"label", "labels"}:
            self.classes = maps["mask"].classes

    def read(self, i: int) -> bytes | Values:
        if self._images is None:
            return self._tree.read(self.entries[i].key)
        file, number = self._images.file_of[self.entries[i].key]
        if file in self._images.usual:
            return self._tree.read(file)
        return self._images.files.read(file, number)

    def some(self, count: int) -> Iterator[Payload | Exception]:
        """As every source; the tiles of one image one after the other, for decoding it once."""
        if self._images is None or self._images.reading.tile is None:
            yield from super().some(count)
            return
        for i in sorted(np.random.default_rng(0).permutation(len(self))[: min(count, _TILES_LOOKED_AT)].tolist()):
            try:
                yield self.read(i)
            except (OSError, ValueError) as broken:
                yield broken


@dataclass(frozen=True)
class _Images:
    """How the images of a folder are found in its files: (file, number) of each key, and the files read as they are."""

    files: FileImages
    file_of: Mapping[str, tuple[str, int]]
    usual: frozenset[str]
    reading: Reading


def open_image_folder(
    tree: FileTree, *, split: str, needs: frozenset[str], seed: int, held_out: float, hints: Hints = NO_HINTS
) -> ImageFolder:
    """One split of the images of a folder or zip, without masks and depth maps of images."""
    pictures = pictures_of(tree)
    if not pictures:
        found = told_kinds(Counter(suffix_of(key) for key in tree.keys)) or "no files at all"
        raise ValueError(
            f"{tree.where} holds no images among its {len(tree.keys)} files ({found}); give files such as .jpg or "
            f".png, or videos{extra_advice(tree.keys)}"
        )
    keys, layout = tree_layout(tree, pictures, needs, hints.label_column)
    if not keys:
        raise ValueError(f"{tree.where} holds nothing but masks among its {len(pictures)} images; add the images")
    maps = maps_of_tree(tree, needs)
    wrong: dict[str, str] = {}
    for kept in maps.values():
        keys = [key for key in keys if key in kept.keys]
        layout = replace(layout, splits=kept.splits or layout.splits)
        wrong |= kept.wrong
    other = find_table(tree, keys, hints.label_column)
    if hints.groups is not None or other is not None or table_folder(tree, keys) == "":
        table = text_in(tree, LABELS_FILE) if other is None else other.text
        layout = with_groups(layout, keys, hints, table, tree.where)
    files = keys
    images, keys, layout = _expanded(tree, keys, layout, hints, has_maps=bool(maps))
    entries = choose_entries(keys, layout, split=split, needs=needs, seed=seed, held_out=held_out, where=tree.where)
    lacking = [entry.key for entry in entries if entry.key in wrong]
    source = ImageFolder(tree, [entry for entry in entries if entry.key not in wrong], layout, images)
    if lacking and not source.entries:
        raise ValueError(f"{tree.where}: no image of the {split} part can be used: {wrong[lacking[0]]}")
    source.take(maps, needs)
    source.part = own_part(keys, layout.splits, split)
    source.left_out, notes = _left_out(tree, pictures, files)
    source.left_out += left_out_as("in no part", in_no_part(keys, layout), "in no part of the data")
    frames = frame_folders(keys, dict(layout.labels))
    if frames and not source.part:
        told = (
            f"the images of {len(frames)} folders (such as {frames[0]}) are numbered as "
            "frames of a video; the held-out part is drawn by image, so frames of one video fall on both sides"
        )
        layout = replace(layout, split_notes=(told, *layout.split_notes))
    source.split_notes = [one_line(note) for note in layout.split_notes]
    source.notes = [one_line(note) for note in (*tree.told(), *notes, *notes_of(keys, layout, needs))]
    source.skipped = [*(tree.unusable if split == "train" else ()), *((key, wrong[key]) for key in lacking)]
    return source


def _expanded(
    tree: FileTree, keys: list[str], layout: Layout, hints: Hints, *, has_maps: bool
) -> tuple[_Images | None, list[str], Layout]:
    """The images of the files, where some hold several or are read in another way than as common images."""
    reading = Reading.of(hints)
    if has_maps:
        if not reading.is_usual:
            raise ValueError(
                f"--{'tile' if hints.tile else 'channels'} is not for data with masks or depth maps; leave it out"
            )
        return None, keys, layout
    if reading.is_usual and not any(is_scientific(key) for key in keys):
        return None, keys, layout
    files = FileImages(tree, reading)
    listings = files.list(keys)
    usual = frozenset(key for key, one in listings.items() if one.is_usual)
    if len(usual) == len(keys):
        return None, keys, layout
    found = expand(listings, layout)
    return _Images(files, found.file_of, usual, reading), found.keys, found.layout


def pictures_of(tree: FileTree) -> list[str]:
    """The images by their suffixes; if there are none, the NumPy files, else those that start like an image."""
    pictures = [key for key in tree.keys if is_picture(key)] or [key for key in tree.keys if is_array(key)]
    if pictures:
        return pictures
    return [key for key in tree.keys if not suffix_of(key) and starts_like_picture(tree.start(key))]


def _left_out(tree: FileTree, pictures: list[str], keys: list[str]) -> tuple[LeftOut, list[str]]:
    """What of a tree is no sample, and sentences on it."""
    chosen, kept = set(pictures), set(keys)
    masks = [key for key in pictures if key not in kept]
    others, notes = other_kinds((key for key in tree.keys if key not in chosen), "images")
    if table_folder(tree, keys) is None and (deeper := [key for key in tree.keys if key.endswith(f"/{LABELS_FILE}")]):
        notes.append(f"{deeper[0]} is not read, as it is not at the top of the data; give its folder to use it")
    if masks:
        notes.append(f"{len(masks)} images are masks or depth maps of others and were left out (such as {masks[0]})")
    return tree.left_out + others + left_out_as("masks", masks, "a mask or depth map of another image"), notes
