"""Contours that several people drew on each image, as in the Berkeley data (BSDS300, BSDS500).

`images/train/100075.jpg` with `groundTruth/train/100075.mat`, as published, or with an .npz in place of the .mat that
holds `boundaries`, bits packed by `numpy.packbits`, and their `shape` (people, height, width).
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass, replace
from posixpath import commonpath
from typing import Any, final
from zipfile import ZipFile

import numpy as np
import torch
from numpy.typing import NDArray

from selftaught.data.annotations.base import NO_BOXES, Annotations, with_boxes
from selftaught.data.annotations.dense_sample import DenseSample
from selftaught.data.decode.npy import read_npy
from selftaught.data.decode.npz_damage import NPZ_DAMAGE
from selftaught.data.files.file_kinds import is_picture
from selftaught.data.files.file_tree import FileTree
from selftaught.data.files.folder_names import read_folder_names

ENDINGS = (".mat", ".npz")
DAMAGE = (*NPZ_DAMAGE, IndexError, TypeError, AttributeError, NameError, MemoryError, ZeroDivisionError)
_MAT_ARRAY, _MAT_COMPRESSED = 14, 15
_MAT_NUMBERS = frozenset((1, 2, 3, 4, 5, 6, 7, 9, 12, 13, 16, 17, 18))
"""Types of elements that hold numbers or text."""
_MAT_HOLDS = (1, 2, 3)
"""Classes of arrays that hold others: cells, structures and objects."""
_MAT_PARTS = {1: 0, 2: 2, 3: 3, 4: 1, 5: 3, **dict.fromkeys(range(6, 16), 1)}
"""Class of an array -> elements of numbers after its flags, sides and name; one more of complex numbers."""
_DEEPEST = 5
"""Arrays in one another: the people, what each drew, and its parts are three."""
CLASSES = ("background", "contour")
Drawn = NDArray[np.bool_]
"""(people, height, width)."""


@final
@dataclass(kw_only=True)
class DrawnContours(Annotations):
    """Images and the file of the contours of each."""

    pairs: dict[str, str]

    def files(self, key: str) -> list[str]:
        return [self.pairs[key]] if key in self.pairs else []

    def sample(self, key: str) -> DenseSample:
        image, file = self.picture(key), self.pairs[key]
        drawn = read_drawn(self.tree.read(file), file)
        if drawn.shape[1:] != image.shape[1:]:
            (high, wide), (height, width) = drawn.shape[1:], image.shape[1:]
            raise ValueError(f"{file} is {wide} x {high} pixels, but its image {width} x {height}")
        return replace(with_boxes(image, NO_BOXES), contours=torch.from_numpy(drawn))


def open_drawn_contours(tree: FileTree) -> DrawnContours | None:
    """The contours of a folder or zip; None where no image has any.

    An image and its contours have the same name and the same folder below those of all images and all contours.
    """
    files = {_tail(key): key for key in tree.keys if key.endswith(ENDINGS)}
    pictures = [key for key in tree.keys if is_picture(key)]
    pairs = {key: files[_tail(key)] for key in pictures if _tail(key) in files}
    if not pairs:
        return None
    folders = {key.rpartition("/")[0] for key in pairs}
    keys = [key for key in pictures if key.rpartition("/")[0] in folders]
    # Below the folders that all share, as the published archive has three above those of its parts.
    above = len(f"{commonpath(folders)}/".removeprefix("/"))
    named = read_folder_names([key[above:] for key in keys]).splits
    return DrawnContours(
        tree=tree,
        keys=keys,
        splits={key: named[key[above:]] for key in keys if key[above:] in named},
        classes=CLASSES,
        wrong={key: f"{key} has no contours" for key in keys if key not in pairs},
        pairs=pairs,
    )


def read_drawn(data: bytes, file: str) -> Drawn:
    """The contours of each person (A, H, W); a ValueError names the file where it holds none."""
    from scipy.io.matlab import MatReadError

    try:
        drawn = _of_mat(data) if file.endswith(".mat") else _of_npz(data)
    # What damaged files raise in numpy and scipy: a wrong number, a missing name, a cut or wrong compression.
    except (*DAMAGE, MatReadError) as broken:
        raise ValueError(f"{file} holds no contours that can be read: {broken}") from None
    if not len(drawn):
        raise ValueError(f"{file} holds the contours of nobody")
    return drawn


def _of_npz(data: bytes) -> Drawn:
    with ZipFile(io.BytesIO(data)) as archive:
        with archive.open("shape.npy") as sides:
            people, height, width = (int(side) for side in read_npy(sides))
        with archive.open("boundaries.npy") as boundaries:
            bits = np.unpackbits(read_npy(boundaries))[: people * height * width]
    return bits.reshape(people, height, width).astype(np.bool_)


def _of_mat(data: bytes) -> Drawn:
    from scipy.io import loadmat

    _check_elements(data)
    kept: Any = loadmat(io.BytesIO(data))["groundTruth"]
    return np.stack([np.asarray(one["Boundaries"][0, 0]) > 0 for one in kept.ravel()])


def _check_elements(data: bytes) -> None:
    """Whether the parts of a .mat are whole: SciPy crashes on some damaged files instead of raising."""
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    at = 128
    while order is not None and at + 8 <= len(data):
        kind, size = struct.unpack_from(f"{order}II", data, at)
        part = data[at + 8 : at + 8 + size]
        if kind not in (_MAT_ARRAY, _MAT_COMPRESSED) or len(part) < size:
            break
        # Where the check sum is another, to decompress raises.
        _check_arrays(zlib.decompress(part) if kind == _MAT_COMPRESSED else data[at : at + 8 + size], order)
        at += 8 + size
    if at != len(data):
        raise ValueError("it is damaged or no MATLAB file of version 5")


def _check_arrays(data: bytes, order: str, depth: int = 0) -> None:
    """Whether elements of a .mat are arrays, each of the elements that its class has; the innermost hold numbers."""
    at = 0
    while at + 8 <= len(data):
        kind, size = struct.unpack_from(f"{order}II", data, at)
        if kind != _MAT_ARRAY or at + 8 + size > len(data) or depth == _DEEPEST:
            raise ValueError("it is damaged")
        if size:
            _check_parts(data[at + 8 : at + 8 + size], order, depth)
        at += 8 + -(-size // 8) * 8


def _check_parts(data: bytes, order: str, depth: int) -> None:
    """The numbers of an array, which are its flags, sides, name and values, and then the arrays that are in it."""
    at, count = 0, 0
    while at + 8 <= len(data):
        kind, size = struct.unpack_from(f"{order}II", data, at)
        if kind == _MAT_ARRAY:
            break
        is_short = kind >> 16 > 0  # of four bytes or fewer, which are in the tag itself
        size = kind >> 16 if is_short else size
        if kind & 0xFFFF not in _MAT_NUMBERS or at + 8 + size > len(data) + 4 * is_short or (is_short and size > 4):
            raise ValueError("it is damaged")
        at += 8 if is_short else 8 + -(-size // 8) * 8
        count += 1
    flags = struct.unpack_from(f"{order}I", data, 8)[0] if len(data) >= 16 else 0
    of_class = flags & 0xFF
    is_complex = of_class > _MAT_HOLDS[-1] and flags & 0x800 > 0
    if count != 3 + _MAT_PARTS.get(of_class, len(data)) + is_complex or (at < len(data)) > (of_class in _MAT_HOLDS):
        raise ValueError("it is damaged")
    _check_arrays(data[at:], order, depth + 1)


def _tail(key: str) -> str:
    """The last folder and the name without its ending."""
    return "/".join(key.rpartition(".")[0].split("/")[-2:])
