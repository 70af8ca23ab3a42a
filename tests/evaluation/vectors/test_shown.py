"""Thumbnails of results, from packed data and from tars that are read again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from selftaught.core.settings.groups import DataSettings
from selftaught.evaluation.search import embedded
from selftaught.evaluation.subject import open_subject
from selftaught.evaluation.vectors.shown import query_thumbnail, thumbnails
from selftaught.evaluation.vectors.write import Order, embed_folder
from tests.data.tar_shards import write_shards
from tests.evaluation.vectors.small_subject import write_images, write_weights

USUAL = DataSettings(path="")


@pytest.mark.parametrize("kind", ["images", "tars"])
def test_samples_are_shown_by_their_paths(tmp_path: Path, kind: str) -> None:
    data = tmp_path / "data"
    weights = write_weights(tmp_path / "w.safetensors")
    subject = open_subject(weights, size=32)
    if kind == "images":
        write_images(data, 6)
        wanted = ["a/2.png", "b/5.png", "none.png"]
        folder = embedded(subject, str(data))
    else:
        write_shards(data, [3, 3])
        wanted = ["s-001.tar/000004.jpg", "s-000.tar/000001.jpg", "s-000.tar/none.jpg"]
        out = tmp_path / "v"
        embed_folder(Order(run=weights, data=str(data), out=str(out), size=32, stream="always"))
        folder = embedded(subject, str(out))
    (tmp_path / "shown").mkdir()
    found = thumbnails(subject, folder, wanted, tmp_path / "shown")
    assert found.keys() == set(wanted[:2])
    with Image.open(tmp_path / "shown" / found[wanted[0]]) as first:
        assert max(first.size) <= 96
        shown = np.asarray(first.convert("RGB"), np.int64)
    if kind == "images":
        with Image.open(data / wanted[0]) as left:
            corner = np.asarray(left.convert("RGB"), np.int64)[4, 5]
        assert np.abs(shown[len(shown) // 8, len(shown) // 9] - corner).max() < 60
        assert query_thumbnail(data / wanted[0], tmp_path / "shown", USUAL) == "query.jpg"
    (tmp_path / "x.png").write_bytes(b"no image")
    assert query_thumbnail(tmp_path / "x.png", tmp_path, USUAL) is None
    assert query_thumbnail(tmp_path / "x.wav", tmp_path, USUAL) is None


def test_a_query_of_five_channels_is_shown_in_hues_like_the_samples(tmp_path: Path) -> None:
    pixels = np.zeros((40, 64, 5), np.uint16)
    pixels[:30, :32, 0], pixels[:30, 32:, 4] = 400, 90
    np.save(tmp_path / "a.npy", pixels)
    reading = DataSettings(path="", channels=5, value_range="0,400;0,1;0,1;0,1;0,90", tile=32)
    for name, place, hue in (("a.npy", (20, 10), 0), ("a.npy", (20, 50), 2), ("a.npy#32,8", (16, 16), 2)):
        assert query_thumbnail(tmp_path / name, tmp_path, reading) == "query.jpg"
        with Image.open(tmp_path / "query.jpg") as shown:
            assert shown.size == ((64, 40) if name == "a.npy" else (32, 32))
            colour = np.asarray(shown)[place]
        assert colour.argmax() == hue, (name, place)
        assert colour[hue] > 90
