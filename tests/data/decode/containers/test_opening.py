"""Which files are read by which reader, and which as they are."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from selftaught.data.decode.containers.arrays import ArrayFile
from selftaught.data.decode.containers.base import BrokenFile, ImageFile
from selftaught.data.decode.containers.dicom import DicomFile
from selftaught.data.decode.containers.opening import Reading, open_images, read_alone
from selftaught.data.decode.containers.plain import PlainFile
from selftaught.data.decode.containers.tiff import TiffImages
from selftaught.data.decode.containers.tiles import TiledFile
from selftaught.data.decode.image import Decoding
from selftaught.data.decode.values import Values
from selftaught.data.files.file_tree import FolderTree, Unreadable
from selftaught.data.files.zip_tree import ZipTree
from tests.data.decode.containers.dicom_files import write_dicom

tifffile = pytest.importorskip("tifffile")
pytest.importorskip("pydicom")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "plain.tif")
    Image.fromarray(pixels).save(tmp_path / "plain.png")
    tifffile.imwrite(tmp_path / "stack.tif", pixels.transpose(2, 0, 1), photometric="minisblack")
    np.save(tmp_path / "array.npy", pixels)
    write_dicom(tmp_path / "slice.dcm", pixels[:, :, 0])
    write_dicom(tmp_path / "IM0001", pixels[:, :, 0])
    (tmp_path / "broken.npy").write_bytes(b"no array")
    return tmp_path


USUAL: dict[str, type[ImageFile] | None] = {
    "plain.tif": None,
    "plain.png": None,
    "stack.tif": TiffImages,
    "array.npy": ArrayFile,
    "slice.dcm": DicomFile,
    "IM0001": DicomFile,
    "broken.npy": BrokenFile,
}


@pytest.mark.parametrize("is_zip", [False, True])
def test_the_name_and_the_first_bytes_choose_the_reader(folder: Path, is_zip: bool) -> None:
    tree: FolderTree | ZipTree = FolderTree(folder)
    if is_zip:
        import zipfile

        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            for path in folder.iterdir():
                archive.write(path, path.name)
        (folder.parent / "all.zip").write_bytes(content.getvalue())
        tree = ZipTree(folder.parent / "all.zip")
    for key, kind in USUAL.items():
        found = open_images(tree, key, Reading())
        assert (type(found) if found else None) is kind, key


def test_channels_and_tiles_change_how_common_files_are_read(folder: Path) -> None:
    tree = FolderTree(folder)
    assert isinstance(open_images(tree, "plain.png", Reading(channels=4)), PlainFile)
    assert isinstance(open_images(tree, "plain.tif", Reading(channels=4)), TiffImages)
    tiles = open_images(tree, "plain.png", Reading(tile=32, overlap=0.5))
    assert isinstance(tiles, TiledFile)
    assert tiles.names == ("0,0", "16,0", "18,0", "0,8", "16,8", "18,8")


def test_one_image_of_several_is_read_by_its_name(tmp_path: Path) -> None:
    pages = np.random.default_rng(1).integers(0, 4000, (3, 20, 30), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a#b.tif", pages, imagej=True, metadata={"axes": "ZYX"})
    found = read_alone(tmp_path / "a#b.tif#2", Decoding())
    assert isinstance(found, Values)
    np.testing.assert_array_equal(found.pixels[..., 0], pages[2])
    with pytest.raises(Unreadable, match=r"^holds 3 images; name one of them, such as a#b\.tif#0$"):
        read_alone(tmp_path / "a#b.tif", Decoding())
    with pytest.raises(Unreadable, match=r"^a#b\.tif holds no image 7, but 0, 1, 2$"):
        read_alone(tmp_path / "a#b.tif#7", Decoding())
    tile = read_alone(tmp_path / "a#b.tif#2#14,4", Decoding(), tile=16)
    assert isinstance(tile, Values)
    assert tile.is_tile
    np.testing.assert_array_equal(tile.pixels[..., 0], pages[2, 4:, 14:])
    with pytest.raises(Unreadable, match=r"^a#b\.tif holds no tile 2#3,3, but 0#0,0, 0#14,0, 0#0,4 \.\.\.$"):
        read_alone(tmp_path / "a#b.tif#2#3,3", Decoding(), tile=16)
    with pytest.raises(Unreadable, match=r"^#2#14,4 of a#b\.tif is a tile, but images are read whole here"):
        read_alone(tmp_path / "a#b.tif#2#14,4", Decoding())
