"""What moves: the parts of digits and photographs share none."""

from __future__ import annotations

from unittest.mock import Mock

import numpy as np
import pytest

from selftaught.data.sources.base import Source
from selftaught.data.sources.moving.objects import Digits, Photographs, open_objects
from selftaught.data.sources.open import open_source

IMAGES = "synthetic:N=60,side=32"
PARTS = ("train", "held_out", "test")


def images(part: str) -> Source:
    return open_source(IMAGES, split=part, needs=frozenset({"image", "label"}), held_out=0.4)


def test_no_digit_is_in_two_parts() -> None:
    found = {part: {image.tobytes() for image in Digits(part).images} for part in PARTS}
    sizes = [len(Digits(part)) for part in PARTS]
    assert sum(sizes) == 1797
    assert min(sizes) > 300
    assert not found["train"] & found["held_out"]
    assert not found["train"] & found["test"]
    assert not found["held_out"] & found["test"]
    assert set(Digits("test").labels) == set(range(10))


def test_a_digit_is_its_ink() -> None:
    digits = Digits("train")
    cut = digits.cut(3, 24)
    assert cut.shape == (24, 24, 4)
    assert np.array_equal(cut[:, :, 0], cut[:, :, 3])
    coarse = cut[:, :, 3].reshape(8, 3, 8, 3).mean((1, 3))
    assert np.corrcoef(coarse.ravel(), digits.images[3].ravel())[0, 1] > 0.98


def test_photographs_of_evaluations_that_the_data_do_not_part_are_divided() -> None:
    keys = {}
    for part in PARTS:
        found = open_objects(IMAGES, part, images)
        assert isinstance(found, Photographs)
        keys[part] = {found.photograph(i, 32).tobytes() for i in range(len(found))}
    assert sum(map(len, keys.values())) == 60
    assert not keys["held_out"] & keys["test"]
    assert not keys["train"] & (keys["held_out"] | keys["test"])
    assert min(map(len, keys.values())) >= 2


def test_what_moves_of_a_photograph_is_its_middle() -> None:
    found = open_objects(IMAGES, "train", images)
    assert isinstance(found, Photographs)
    photograph, cut = found.photograph(0, 32), found.cut(0, 32)
    assert np.allclose(cut[12:20, 12:20, :3], photograph[12:20, 12:20])
    assert cut[[0, 0, -1, -1], [0, -1, 0, -1]].max() == 0


def test_slow_sources_are_read_in_order_once(monkeypatch: pytest.MonkeyPatch) -> None:
    source = images("train")
    slow = Photographs(source, range(len(source)))
    source.random_access = False
    alone = [slow.cut(i, 16) for i in (1, 5)]
    slow.expect({1, 5})
    whole = Mock(side_effect=source.iterate)
    monkeypatch.setattr(source, "iterate", whole)
    assert all(np.array_equal(slow.cut(i, 16), one) for i, one in zip((1, 5), alone, strict=True))
    whole.assert_called_once()


def test_too_few_photographs_are_refused() -> None:
    def few(part: str) -> Source:
        return open_source("synthetic:N=8", split=part, needs=frozenset({"image"}), held_out=0.2)

    with pytest.raises(ValueError, match=r"needs two or more images in each part, and the held-out part has [01];"):
        open_objects("few", "held_out", few)
