"""Folders of images and of their depth maps: `rgb/a.jpg` with `depth/a.png`, 16-bit PNG in millimetres."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selftaught.data.annotations.paired_folders import Pairs, find_pairs
from selftaught.data.decode.image import decode_indices
from selftaught.data.files.file_kinds import is_picture
from selftaught.data.files.file_tree import FileTree

_DEPTHS = re.compile(r"depths?(_?maps?)?$")
_ENDS = re.compile(r"_depths?$")
_NONE = 65535
"""What sensors write where they measured nothing, as 0."""


def find_depths(keys: Sequence[str]) -> Pairs:
    """Folders named as depth maps are, and the depth map of each image."""
    return find_pairs(keys, folders=_DEPTHS, ends=_ENDS, file_ends=_ENDS)


@dataclass(frozen=True, kw_only=True)
class DepthFolder:
    """Images with depth maps.

    Attributes:
        pairs: image -> its depth map.
        wrong: image -> why it has none.
    """

    tree: FileTree
    pairs: Mapping[str, str]
    wrong: Mapping[str, str]

    def depth(self, key: str) -> NDArray[np.uint16]:
        """Millimetres (H, W) of the pixels of an image as stored, 0 where unknown; a ValueError names the file."""
        file = self.pairs[key]
        try:
            data = self.tree.read(file)
        except (OSError, ValueError) as broken:
            raise ValueError(f"{file} cannot be read: {broken}") from None
        return decode_depth(data, file)


def decode_depth(data: bytes, file: str) -> NDArray[np.uint16]:
    """Millimetres (H, W) of a depth map, 0 where unknown; a ValueError names the file."""
    try:
        values = decode_indices(data)
    except (OSError, ValueError) as broken:
        raise ValueError(f"{file} cannot be read: {broken}") from None
    if values.ndim != 2 or values.dtype != np.uint16:
        raise ValueError(f"{file} is no image of 16 bits with one channel, as depth maps in millimetres are")
    return np.where(values == _NONE, 0, values).astype(np.uint16)


def open_depth_folder(tree: FileTree) -> DepthFolder:
    """The depth maps of a folder or zip; a ValueError where there are none."""
    pictures = [key for key in tree.keys if is_picture(key)]
    found = find_depths(pictures)
    if not found.pairs:
        raise ValueError(
            f"depth maps are needed, but {tree.where} holds none; put them into a folder depth beside a folder images, "
            "as PNG of 16 bits in millimetres with the names of the images"
        )
    lacking = [key for key in found.belong(pictures) if key not in found.pairs]
    wrong = {key: f"{key} has no depth map in {found.folders[0]}" for key in lacking}
    return DepthFolder(tree=tree, pairs=found.pairs, wrong=wrong)
