"""TIFF stacks, channels, pyramids and windows, against what was written."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from selftaught.data.decode.containers.base import Box
from selftaught.data.files.file_tree import Unreadable

tifffile = pytest.importorskip("tifffile")
from selftaught.data.decode.containers.tiff import TiffImages  # noqa: E402


def numbers(*shape: int) -> NDArray[np.uint16]:
    return np.random.default_rng(0).integers(0, 4000, shape, dtype=np.uint16)


STORED: list[dict[str, Any]] = [
    {},
    {"compression": "zlib", "rowsperstrip": 7},
    {"compression": "zlib", "tile": (16, 16)},
    {"compression": "zlib", "byteorder": ">"},
]


@pytest.mark.parametrize("stored", STORED)
def test_pages_are_images_and_windows_are_cut(tmp_path: Path, stored: dict[str, Any]) -> None:
    stack = numbers(12, 40, 50)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack", **stored)
    file = TiffImages(str(tmp_path / "a.tif"), "a.tif", 3)
    assert file.names == tuple(f"{i:02d}" for i in range(12))
    assert file.size(0) == (40, 50)
    found = file.read(7).pixels
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found[:, :, 0], stack[7])
    np.testing.assert_array_equal(file.read(11, Box(13, 15, 20, 30)).pixels[:, :, 0], stack[11, 13:33, 15:45])


@pytest.mark.parametrize("form", [{"ome": True}, {"imagej": True}, {"ome": True, "compression": "zlib"}])
def test_axes_of_ome_and_imagej_are_followed(tmp_path: Path, form: dict[str, Any]) -> None:
    stack = numbers(2, 3, 4, 30, 40)  # moments, depths, channels
    tifffile.imwrite(tmp_path / "a.tif", stack, metadata={"axes": "TZCYX"}, photometric="minisblack", **form)
    file = TiffImages(str(tmp_path / "a.tif"), "a.tif", 4)
    assert file.names == ("0.0", "0.1", "0.2", "1.0", "1.1", "1.2")
    np.testing.assert_array_equal(file.read(4).pixels, stack[1, 1].transpose(1, 2, 0))
    np.testing.assert_array_equal(file.read(4, Box(3, 4, 10, 20)).pixels, stack[1, 1, :, 3:13, 4:24].transpose(1, 2, 0))


@pytest.mark.parametrize("stored", [{}, {"tile": (16, 16), "compression": "zlib"}])
@pytest.mark.parametrize("is_planar", [False, True])
def test_samples_of_a_pixel_are_channels(tmp_path: Path, is_planar: bool, stored: dict[str, Any]) -> None:
    image = numbers(40, 50, 5)
    written = image.transpose(2, 0, 1) if is_planar else image
    kind = "separate" if is_planar else "contig"
    tifffile.imwrite(tmp_path / "a.tif", written, photometric="minisblack", planarconfig=kind, **stored)
    file = TiffImages(str(tmp_path / "a.tif"), "a.tif", 5)
    assert file.names == ("",)
    np.testing.assert_array_equal(file.read(0).pixels, image)
    np.testing.assert_array_equal(file.read(0, Box(20, 7, 20, 30)).pixels, image[20:40, 7:37])


def test_plain_pages_are_channels_where_as_many_are_asked_for(tmp_path: Path) -> None:
    stack = numbers(5, 30, 40)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack")
    assert len(TiffImages(str(tmp_path / "a.tif"), "a.tif", 3).names) == 5
    file = TiffImages(str(tmp_path / "a.tif"), "a.tif", 5)
    assert file.names == ("",)
    np.testing.assert_array_equal(file.read(0).pixels, stack.transpose(1, 2, 0))


def test_the_finest_level_of_a_pyramid_is_read(tmp_path: Path) -> None:
    image = numbers(64, 96)
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(image, subifds=1, tile=(16, 16))
        writer.write(image[::2, ::2], subfiletype=1, tile=(16, 16))
    file = TiffImages(str(tmp_path / "a.tif"), "a.tif", 3)
    assert file.names == ("",)
    np.testing.assert_array_equal(file.read(0).pixels[:, :, 0], image)


def test_files_in_memory_and_broken_ones(tmp_path: Path) -> None:
    stack = numbers(3, 30, 40)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack")
    data = (tmp_path / "a.tif").read_bytes()
    np.testing.assert_array_equal(TiffImages(io.BytesIO(data), "a.tif", 3).read(1).pixels[:, :, 0], stack[1])
    with pytest.raises(Unreadable, match="TIFF file"):
        TiffImages(io.BytesIO(b"II*\0 nothing"), "a.tif", 3)
    tifffile.imwrite(tmp_path / "b.tif", stack, photometric="minisblack", compression="zlib")
    with tifffile.TiffFile(tmp_path / "b.tif") as written:
        start = written.pages[2].dataoffsets[0]
    whole = (tmp_path / "b.tif").read_bytes()
    (tmp_path / "b.tif").write_bytes(whole[:start] + bytes(200) + whole[start + 200 :])
    file = TiffImages(str(tmp_path / "b.tif"), "b.tif", 3)
    np.testing.assert_array_equal(file.read(1).pixels[:, :, 0], stack[1])
    with pytest.raises(Unreadable, match="not a whole TIFF file"):
        file.read(2)
