"""An encoder, the images it is shown and the files that are drawn of both."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from selftaught.data.store.subset import Subset
from selftaught.evaluation.visualise.gallery import BATCH, Gallery
from selftaught.ops.colour import denormalise
from tests.evaluation.visualise.made import Pictures, SmallEncoder, random_pictures

COUNT = BATCH + 3


@pytest.fixture
def gallery() -> Gallery:
    labels = np.arange(COUNT) % 3 - 1
    samples = Pictures(random_pictures(COUNT, 8), labels)
    return Gallery(
        encoder=SmallEncoder().eval(), samples=Subset(samples, np.arange(COUNT)), size=8, device=torch.device("cpu")
    )


def test_views_come_in_batches_and_in_the_order_asked_for(gallery: Gallery) -> None:
    whole = list(gallery.views())
    assert [len(views) for views in whole] == [BATCH, 3]
    chosen = torch.cat(list(gallery.views([5, 2])))
    assert torch.equal(chosen, torch.cat(whole)[[5, 2]])
    assert torch.allclose(denormalise(chosen), gallery.pictures([5, 2]), atol=1e-6)


def test_images_are_the_pixels_of_the_data(gallery: Gallery) -> None:
    pixels = torch.from_numpy(random_pictures(COUNT, 8)).permute(0, 3, 1, 2)
    assert torch.allclose(gallery.pictures([7, 1]), pixels[[7, 1]] / 255, atol=0.01)
    assert gallery.pictures([]).shape == (0, 3, 8, 8)


def test_names_and_classes_are_those_of_the_data(gallery: Gallery) -> None:
    assert gallery.key(4) == "folder/0004.png"
    assert [gallery.label(row) for row in range(3)] == [None, "class 0", "class 1"]
    gallery.samples.labels = None
    assert gallery.label(1) is None


def test_tiles_become_a_file_and_an_entry(gallery: Gallery) -> None:
    tiles = torch.rand(5, 3, 6, 6)
    entry = gallery.add("a.png", tiles, columns=3, caption="five")
    assert entry == {"file": "a.png", "caption": "five", "tile": 6, "gap": 2, "columns": 3, "count": 5}
    sheet = np.asarray(Image.open(io.BytesIO(gallery.files["a.png"])))
    assert np.abs(sheet[8:14, :6] - 255 * tiles[3].permute(1, 2, 0).numpy()).max() <= 1
    gallery.add("b.jpg", tiles, columns=3, caption="")
    assert Image.open(io.BytesIO(gallery.files["b.jpg"])).format == "JPEG"
