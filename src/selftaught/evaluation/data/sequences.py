"""Videos as folders of frames with masks of objects, such as DAVIS: what a probe that follows masks reads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selftaught.core.files import digest
from selftaught.data.annotations.mask_folder import find_masks
from selftaught.data.decode.image import Decoding, decode_image, decode_indices
from selftaught.data.files.file_kinds import is_picture
from selftaught.data.files.file_tree import FileTree
from selftaught.data.files.zip_tree import open_tree
from selftaught.evaluation.data.base import Asked, DataKind, EvaluationData

VOID = 255
"""Number of pixels that belong to no object and not to the background; they count as background."""
_LIST = re.compile(r"imagesets/\d{4}/val\.txt$")
_NUMBERS = re.compile(r"(\d+)")


@dataclass(frozen=True, kw_only=True)
class Video:
    """Keys of the frames of one video, in order, and of the masks of those that have one."""

    name: str
    frames: tuple[str, ...]
    masks: dict[int, str]


class Sequences:
    """Videos with masks.

    Attributes:
        keys: names of the videos.
        fingerprint: changes when a file does.
        skipped: (video, reason) of what cannot be followed.
    """

    def __init__(
        self, tree: FileTree, found: Sequence[Video], skipped: list[tuple[str, str]], decoding: Decoding
    ) -> None:
        self.keys = [one.name for one in found]
        self.skipped = skipped
        self.fingerprint = digest(tree.fingerprint([*one.frames, *one.masks.values()]) for one in found)
        self._tree, self._found, self._decoding = tree, found, decoding

    def __len__(self) -> int:
        return len(self._found)

    def frames(self, i: int) -> Iterator[NDArray[np.uint8]]:
        """Frames (H, W, 3) uint8 RGB of video `i`, in order."""
        for key in self._found[i].frames:
            try:
                yield decode_image(self._tree.read(key), upright=False, decoding=self._decoding)
            except (OSError, ValueError) as broken:
                raise ValueError(f"{self._tree.where}: {key} cannot be read: {broken}") from None

    def masks(self, i: int) -> dict[int, NDArray[np.uint8]]:
        """Frame -> mask (H, W), 0 for the background and 1, 2, ... for the objects of the first frame's mask."""
        found = {}
        values: NDArray[np.int64] | None = None
        for t, key in sorted(self._found[i].masks.items()):
            try:
                pixels = _numbers(decode_indices(self._tree.read(key)))
            except (OSError, ValueError) as broken:
                raise ValueError(f"{self._tree.where}: {key} cannot be read: {broken}") from None
            if values is None:
                present = np.unique(pixels)
                is_binary = set(present.tolist()) <= {0, VOID}
                values = present[(present != 0) & (is_binary | (present != VOID))]
                if not len(values):
                    raise ValueError(f"{self._tree.where}: {key}, the first mask of its video, has no object")
            mask = np.zeros(pixels.shape, np.uint8)
            for number, value in enumerate(values[:254], 1):
                mask[pixels == value] = number
            found[t] = mask
        return found


@dataclass(frozen=True, kw_only=True)
class MaskedVideos(EvaluationData):
    """Videos in which the masks of the first frame are followed."""

    test: Sequences

    @property
    def identity(self) -> str:
        """Of the frames and masks."""
        return self.test.fingerprint


def open_sequences(asked: Asked) -> MaskedVideos:
    """A folder or zip with frames/VIDEO/ and masks/VIDEO/, or DAVIS as distributed, of which its val list is read."""
    tree = open_tree(asked.data.path)
    pictures = [key for key in tree.keys if is_picture(key)]
    pairs = find_masks(pictures)
    if not pairs.pairs:
        raise ValueError(
            f"{tree.where} has no frames with masks; give a folder or zip with frames/VIDEO/00000.jpg and "
            "masks/VIDEO/00000.png"
        )
    videos: dict[str, list[str]] = {}
    for key in pairs.belong(pictures):
        videos.setdefault(key.rpartition("/")[0], []).append(key)
    found, skipped = [], []
    for folder, frames in sorted(videos.items()):
        ordered = tuple(sorted(frames, key=_natural))
        name = folder.rpartition("/")[2]
        masks = {t: pairs.pairs[key] for t, key in enumerate(ordered) if key in pairs.pairs}
        reason = "" if 0 in masks else "its first frame has no mask"
        reason = reason or ("" if len(masks) > 1 else "no frame after the first has a mask")
        if reason:
            skipped.append((name, reason))
        else:
            found.append(Video(name=name, frames=ordered, masks=masks))
    listed, told = _listed(tree, [one.name for one in found])
    found = [one for one in found if one.name in listed]
    if not found:
        name, why = skipped[0]
        raise ValueError(f"{tree.where} has no video whose masks can be followed (such as {name}: {why})")
    decoding = Decoding(max_pixels=asked.data.max_image_pixels)
    return MaskedVideos(test=Sequences(tree, found, skipped, decoding), test_is=told)


def _listed(tree: FileTree, names: Sequence[str]) -> tuple[set[str], str]:
    """The videos that DAVIS's list of its val part names, the newest of several; all where there is none."""
    lists = sorted(key for key in tree.keys if _LIST.search(key.lower()))
    for key in reversed(lists):
        words = set(re.split(r"[\s/]+", tree.text(key) or ""))
        if chosen := words.intersection(names):
            return chosen, f"{len(chosen)} videos of {key}"
    return set(names), f"all {len(names)} videos"


def _numbers(pixels: NDArray[np.generic]) -> NDArray[np.int64]:
    """A mask as one number a pixel (H, W), whatever it is stored as."""
    values = pixels.astype(np.int64)
    return values if values.ndim == 2 else (values << np.array((16, 8, 0))).sum(2)


def _natural(key: str) -> list[tuple[int, str]]:
    """Such that 2 comes before 10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in _NUMBERS.split(key)]


def _check(asked: Asked) -> None:
    open_sequences(asked)


SEQUENCES = DataKind(open=open_sequences, check=_check, learns=False)
"""For probes that follow masks through videos."""
