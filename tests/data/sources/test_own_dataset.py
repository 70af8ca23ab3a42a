"""Data sets of Python as sources: what items may be, their classes, and one sentence for everything else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset

from selftaught.core.objects.registry import name_of
from selftaught.data.decode.values import Values
from selftaught.data.files.file_tree import Unreadable
from selftaught.data.sources.open import open_source
from selftaught.data.sources.own_dataset import image_of
from tests.data.sources.opening import IMAGES, LABELLED

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)


class Items(Dataset[Any]):
    def __init__(self, items: list[Any], **attributes: Any) -> None:
        self.items = items
        vars(self).update(attributes)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, row: int) -> Any:
        if isinstance(self.items[row], Exception):
            raise self.items[row]
        return self.items[row]


@pytest.mark.parametrize(
    "item",
    [
        PIXELS,
        (PIXELS, 3),
        Image.fromarray(PIXELS),
        torch.from_numpy(PIXELS).permute(2, 0, 1),
        torch.from_numpy(PIXELS).permute(2, 0, 1).float() / 255,
    ],
)
def test_an_item_is_an_image(item: Any) -> None:
    np.testing.assert_array_equal(image_of(item), PIXELS)


def test_other_channels_and_numbers_are_values() -> None:
    deep = image_of(np.zeros((20, 24), np.uint16))
    assert isinstance(deep, Values)
    assert deep.pixels.shape == (20, 24, 1)
    five = image_of(torch.zeros(5, 20, 24))
    assert isinstance(five, Values)
    assert five.pixels.shape == (20, 24, 5)


@pytest.mark.parametrize(
    ("item", "why"),
    [
        (torch.randn(3, 8, 8) * 5, "give floats from 0 to 1, before any normalisation, or uint8"),
        ({"image": PIXELS}, "it is a dict of image; give the image, or"),
        ("a.jpg", "it is of type str; give an image of Pillow, a tensor or an array"),
        (torch.zeros(2, 3, 8, 8), r"it has the shape \(2, 3, 8, 8\)"),
        (torch.zeros(9, 8, 3), r"it has the shape \(9, 8, 3\); give a tensor \(C, H, W\), x.permute\(2, 0, 1\)"),
        (np.zeros((1, 9, 8)), r"it has the shape \(1, 9, 8\); give an array \(H, W, C\), x.transpose\(1, 2, 0\)"),
    ],
)
def test_what_is_no_image_says_what_it_is(item: Any, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        image_of(item)


def test_classes_come_from_the_items_or_from_a_list() -> None:
    listed = Items([(PIXELS, i % 2) for i in range(12)], targets=[i % 2 for i in range(12)], classes=["cat", "dog"])
    plain = Items([(PIXELS, torch.tensor(i % 2)) for i in range(12)])
    for data, classes in ((listed, ("cat", "dog")), (plain, ("0", "1"))):
        parts = [
            open_source(name_of("dataset", data), split=split, needs=LABELLED, held_out=0.3)
            for split in ("train", "held_out")
        ]
        assert sum(map(len, parts)) == 12
        assert parts[0].classes == classes
        assert all(entry.label == int(entry.key) % 2 for part in parts for entry in part.entries)


def test_the_fingerprint_follows_the_pixels_and_a_broken_item_is_one_entry() -> None:
    first, second = Items([PIXELS] * 6), Items([PIXELS] * 5 + [PIXELS[::-1]])
    found = [
        open_source(name_of("dataset", one), split="train", needs=IMAGES, held_out=0.01) for one in (first, second)
    ]
    assert found[0].fingerprint != found[1].fingerprint
    broken = Items([PIXELS, PIXELS, RuntimeError("no disk"), PIXELS])
    source = open_source(name_of("dataset", broken), split="train", needs=IMAGES, held_out=0.0)
    with pytest.raises(Unreadable, match="RuntimeError: no disk"):
        source.read(2)


class Endless:
    def __len__(self) -> int:
        raise TypeError("no end")

    def __getitem__(self, row: int) -> Any:
        return PIXELS


def test_what_a_data_set_lacks_is_said() -> None:
    def wrong(data: Any) -> str:
        with pytest.raises(ValueError, match="data set") as caught:
            open_source(name_of("dataset", data), split="train", needs=IMAGES)
        return str(caught.value)

    assert "data set Items holds no items" in wrong(Items([]))
    assert wrong(Items([KeyError("x")])).startswith("item 0 of data set Items cannot be used: KeyError")
    assert "map style" in wrong(object())
    assert wrong(Endless()).startswith(f"data set Endless: __len__ fails at {__file__}:")
    with pytest.raises(ValueError, match=r"^data is the class Items; give an object of it, as Items\(\) is$"):
        open_source(name_of("dataset", Items), split="train", needs=IMAGES)
    with pytest.raises(ValueError, match="dataset:Gone is a data set of another process; pass the object itself"):
        open_source("dataset:Gone", split="train", needs=IMAGES)
