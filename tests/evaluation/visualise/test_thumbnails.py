"""Samples as small JPEG and WebP files."""

from __future__ import annotations

import io
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from selftaught.data.store.samples import HostBatch, Samples
from selftaught.evaluation.visualise.thumbnails import SIDE, picture_files
from tests.evaluation.visualise.made import Pictures, random_pictures


def pixels_of(data: bytes) -> NDArray[np.uint8]:
    image = Image.open(io.BytesIO(data))
    assert image.format == "JPEG"
    return np.asarray(image)


def test_each_row_asked_for_has_one_file() -> None:
    flat = np.repeat(np.arange(0, 200, 20, dtype=np.uint8), 8 * 8 * 3).reshape(10, 8, 8, 3)
    found = picture_files(Pictures(flat), np.array([7, 2, 7]), "near")
    assert {row: name for row, (name, _) in found.items()} == {2: "near-2.jpg", 7: "near-7.jpg"}
    assert np.abs(pixels_of(found[7][1]).astype(int) - 140).max() <= 2


def test_large_images_are_reduced() -> None:
    found = picture_files(Pictures(random_pictures(1, 3 * SIDE)), np.array([0]), "a")
    assert pixels_of(found[0][1]).shape == (SIDE, SIDE, 3)


class Clips(Pictures):
    """Clips whose frame t is all of level 8 t; without frames, sound alone."""

    def __init__(self, frames: int) -> None:
        super().__init__(random_pictures(2, 8))
        self.frames = frames

    def read(self, rows: NDArray[np.int64], draws: NDArray[np.float64]) -> HostBatch:
        if not self.frames:
            return HostBatch(index=rows, inputs={"audio": np.zeros((len(rows), 10), np.float32)})
        level = 8 * np.arange(self.frames, dtype=np.uint8)[None, :, None, None, None]
        return HostBatch(index=rows, inputs={"video": np.broadcast_to(level, (len(rows), self.frames, 8, 8, 3)).copy()})


@pytest.mark.parametrize(("frames", "kept"), [(5, [0, 1, 2, 3, 4]), (31, list(range(0, 31, 2))), (1, [0])])
def test_a_clip_is_an_animation_of_its_frames(frames: int, kept: list[int]) -> None:
    name, data = picture_files(cast(Samples, Clips(frames)), np.array([1]), "clip")[1]
    assert name == ("clip-1.webp" if frames > 1 else "clip-1.jpg")
    with Image.open(io.BytesIO(data)) as image:
        assert getattr(image, "n_frames", 1) == len(kept)
        for place, t in enumerate(kept):
            image.seek(place)
            assert np.abs(np.asarray(image.convert("RGB")).astype(int) - 8 * t).max() <= 4
        if frames > 1:
            image.load()
            assert image.info["duration"] == round(2000 / len(kept))


def test_sound_alone_has_no_image() -> None:
    assert picture_files(cast(Samples, Clips(0)), np.array([0, 1]), "sound") == {}
