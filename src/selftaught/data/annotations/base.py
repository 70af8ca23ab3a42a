"""Interface of the formats of boxes and masks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from selftaught.data.annotations.dense_sample import DenseSample
from selftaught.data.decode.image import USUAL, Decoding, decode_image
from selftaught.data.files.file_tree import FileTree

SLACK = 1.0
"""Pixels by which a box may exceed its image, and is clipped: annotations are rounded."""
FAR = 1e9
"""Pixels; no image is as large, and numbers beyond have no place in float32."""


class Boxes(NamedTuple):
    """K boxes of one image: left, top, right, bottom edge in pixels (K, 4), class (K,), not to be counted (K,)."""

    edges: NDArray[np.float32]
    labels: NDArray[np.int64]
    ignore: NDArray[np.bool_]


NO_BOXES = Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.bool_))


@dataclass(kw_only=True)
class Annotations(ABC):
    """What a data set says of its images.

    Attributes:
        keys: of the annotated images, sorted.
        splits: the data's own part of an image, by key.
        wrong: what is wrong with the annotation of an image, by key: one clause that names the file.
        stray: what is wrong with annotations that belong to no image.
        cut: boxes that leave their image by up to `SLACK` and are cut to it.
        decoding: of all images.
    """

    tree: FileTree
    keys: list[str]
    splits: Mapping[str, str]
    classes: tuple[str, ...]
    wrong: dict[str, str] = field(default_factory=dict)
    stray: Sequence[str] = ()
    cut: int = 0
    decoding: Decoding = USUAL

    @abstractmethod
    def files(self, key: str) -> list[str]:
        """The files that hold the annotation of an image."""

    @abstractmethod
    def sample(self, key: str) -> DenseSample:
        """An image with its boxes or its mask; a ValueError names the file where something is wrong."""

    def mask(self, key: str) -> NDArray[np.int64]:
        """The class of each pixel (H, W) of an image as stored, or `IGNORE`; a ValueError names the file."""
        raise TypeError(f"{type(self).__name__} has no masks")

    def picture(self, key: str) -> Tensor:
        """(3, H, W) uint8. As stored: annotations are drawn on the pixels of the file, whatever its EXIF says."""
        try:
            pixels = decode_image(self.tree.read(key), upright=False, decoding=self.decoding)
        except (OSError, ValueError) as broken:
            raise ValueError(f"{key} cannot be read: {broken}") from None
        return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def with_boxes(image: Tensor, boxes: Boxes) -> DenseSample:
    """A sample with boxes."""
    return DenseSample(
        image=image,
        boxes=torch.from_numpy(boxes.edges),
        labels=torch.from_numpy(boxes.labels),
        ignore=torch.from_numpy(boxes.ignore),
    )


def with_mask(image: Tensor, mask: NDArray[np.int64], file: str) -> DenseSample:
    """A sample with a mask (H, W), of the size of its image."""
    if image.shape[1:] != mask.shape:
        high, wide = image.shape[1:]
        raise ValueError(f"{file} is {mask.shape[1]} x {mask.shape[0]} pixels, but its image {wide} x {high}")
    sample = with_boxes(image, NO_BOXES)
    return DenseSample(
        image=image, boxes=sample.boxes, labels=sample.labels, ignore=sample.ignore, mask=torch.from_numpy(mask)
    )


def inside(edges: NDArray[np.float32], *, width: float, height: float) -> NDArray[np.float32] | None:
    """The box (4,) cut to its image; None if it is reversed or exceeds the image by more than `SLACK`."""
    left, top, right, bottom = edges
    if not (-SLACK <= left <= right <= width + SLACK and -SLACK <= top <= bottom <= height + SLACK):
        return None
    return np.clip(edges, 0, np.array([width, height, width, height], np.float32))
