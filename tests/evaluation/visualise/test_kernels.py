"""The first layer's kernels as a sheet."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image

from selftaught.data.store.subset import Subset
from selftaught.encoders.kernels import first_kernels
from selftaught.evaluation.visualise.gallery import Gallery
from selftaught.evaluation.visualise.kernels import LEAST_TILE, draw_kernels
from tests.evaluation.visualise.made import Pictures, SmallEncoder, random_pictures


def gallery(encoder: SmallEncoder) -> Gallery:
    samples = Subset(Pictures(random_pictures(2, 8)), np.arange(2))
    return Gallery(encoder=encoder, samples=samples, size=8, device=torch.device("cpu"))


def test_each_kernel_is_a_tile_enlarged_by_a_whole_factor() -> None:
    shown = gallery(SmallEncoder())
    entry = draw_kernels(shown)
    assert entry is not None
    assert (entry["tile"], entry["columns"], entry["count"]) == (LEAST_TILE, 4, 8)
    assert entry["caption"] == "8 kernels of the first convolution, 3 x 3 pixels, each in its own range."
    sheet = np.asarray(Image.open(io.BytesIO(shown.files["kernels.png"])))
    kernels = first_kernels(shown.encoder)
    assert kernels is not None
    factor, step = LEAST_TILE // 3, LEAST_TILE + entry["gap"]
    tile = sheet[step : step + LEAST_TILE, step : step + LEAST_TILE][::factor, ::factor]  # the sixth
    assert np.abs(tile - 255 * kernels[5].permute(1, 2, 0).numpy()).max() <= 1


def test_an_encoder_without_convolutions_has_none() -> None:
    encoder = SmallEncoder()
    encoder.conv1 = encoder.conv2 = torch.nn.Sequential()
    assert draw_kernels(gallery(encoder)) is None
