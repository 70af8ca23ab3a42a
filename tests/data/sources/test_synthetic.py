"""The synthetic source: the same image for the same number, and factors that can be read from the pixels."""

from __future__ import annotations

import numpy as np
import pytest

from selftaught.data.sources.open import open_source
from selftaught.data.sources.synthetic import SHAPES, draw, factors

LABELLED = frozenset({"image", "label"})


def test_a_image_depends_on_its_number_alone() -> None:
    few, many = (open_source(f"synthetic:N={n}", split="train", needs=LABELLED) for n in (100, 200))
    many_keys = {entry.key: i for i, entry in enumerate(many.entries)}
    for i in (0, 7, 50):
        again = many.read(many_keys[few.entries[i].key])
        assert isinstance(again, np.ndarray)
        first = few.read(i)
        assert isinstance(first, np.ndarray)
        assert np.array_equal(first, again)
        assert again.shape == (32, 32, 3)
        assert again.dtype == np.uint8
    assert few.classes == SHAPES
    assert {entry.label for entry in few.entries} == set(range(len(SHAPES)))


def test_splits_and_size() -> None:
    train, test = (open_source("synthetic:N=500,side=48", split=s, needs=LABELLED) for s in ("train", "test"))
    assert len(train) + len(test) == 500
    pixels = train.read(0)
    assert isinstance(pixels, np.ndarray)
    assert pixels.shape == (48, 48, 3)
    assert train.fingerprint != test.fingerprint


def test_the_shape_stands_where_its_factors_say() -> None:
    for number in range(40):
        known = factors(number)
        pixels = draw(number, side=64).astype(int)
        y, x = (int(place * 64) for place in known.centre)
        inside = pixels[y, x]
        assert np.argmax(inside) == np.argmax(known.colour)
        assert inside.max() - inside.min() > 60  # coloured, on a nearly grey ground
        assert np.ptp(pixels[1, 1]) < 60


def test_light_comes_from_above() -> None:
    pixels = np.stack([draw(number, side=32) for number in range(50)]).mean(axis=(0, 2, 3))
    assert pixels[:4].mean() > pixels[-4:].mean() + 20


def test_a_wrong_setting_is_one_sentence() -> None:
    with pytest.raises(ValueError, match="settings are N=count and side=pixels"):
        open_source("synthetic:size=3", split="train", needs=LABELLED)
