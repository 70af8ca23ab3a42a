"""A file in memory without a name gives the image that a folder with that file gives, or the reason why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from selftaught.data.decode.containers.only_image import only_image, reading_of
from selftaught.data.decode.containers.opening import USUAL_READING, Reading, open_images
from selftaught.data.decode.image import Decoding
from selftaught.data.decode.values import Values
from selftaught.data.files.file_tree import FolderTree, Unreadable
from tests.data.decode.containers.dicom_files import write_dicom

tifffile = pytest.importorskip("tifffile")
pytest.importorskip("pydicom")

PIXELS = np.random.default_rng(0).integers(0, 4000, (40, 50, 5), dtype=np.uint16)
FIVE = Reading(5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.save(tmp_path / "last.npy", PIXELS)
    np.save(tmp_path / "first.npy", PIXELS.transpose(2, 0, 1).astype(np.float32))
    np.savez(tmp_path / "plain.npz", image=PIXELS)
    np.savez_compressed(tmp_path / "small.npz", image=PIXELS)
    tifffile.imwrite(tmp_path / "pages.tif", PIXELS.transpose(2, 0, 1), photometric="minisblack")
    tifffile.imwrite(tmp_path / "samples.tif", PIXELS, photometric="minisblack", planarconfig="contig")
    tifffile.imwrite(tmp_path / "a.ome.tif", PIXELS.transpose(2, 0, 1), metadata={"axes": "CYX"}, bigtiff=True)
    return tmp_path


def test_five_channels_are_those_of_the_file(folder: Path) -> None:
    tree = FolderTree(folder)
    assert len(tree.keys) == 7
    for key in tree.keys:
        found = only_image(tree.read(key), FIVE)
        assert isinstance(found, Values), key
        np.testing.assert_array_equal(found.pixels, PIXELS, err_msg=key)
        file = open_images(tree, key, FIVE)
        assert file is not None
        assert file.read(0).pixels.dtype == found.pixels.dtype, key


def test_grey_is_read_as_such_of_a_common_format(tmp_path: Path) -> None:
    Image.fromarray(PIXELS[:, :, 0].astype(np.uint8)).save(tmp_path / "a.png")
    found = only_image((tmp_path / "a.png").read_bytes(), reading_of(Decoding(channels=((0, 255),))))  # type: ignore[arg-type]
    assert isinstance(found, Values)
    np.testing.assert_array_equal(found.pixels[:, :, 0], PIXELS[:, :, 0].astype(np.uint8))


def test_of_colours_common_images_stay_bytes_and_others_are_numbers(tmp_path: Path) -> None:
    colours = PIXELS[:, :, :3].astype(np.uint8)
    for name in ("a.png", "a.jpg", "a.tif", "a.gif"):
        Image.fromarray(colours).save(tmp_path / name)
        data = (tmp_path / name).read_bytes()
        assert only_image(data, USUAL_READING) is data, name
    tifffile.imwrite(tmp_path / "stack.tif", PIXELS.transpose(2, 0, 1), photometric="minisblack")
    data = (tmp_path / "stack.tif").read_bytes()
    assert only_image(data, USUAL_READING) is data, "its first page is shown"
    np.save(tmp_path / "a.npy", colours)
    write_dicom(tmp_path / "a.dcm", colours[:, :, 0])
    tree = FolderTree(tmp_path)
    for key in ("a.npy", "a.dcm"):
        found, file = only_image(tree.read(key), USUAL_READING), open_images(tree, key, USUAL_READING)
        assert file is not None
        assert isinstance(found, Values)
        np.testing.assert_array_equal(found.pixels, file.read(0).pixels)


def test_a_stack_and_a_damaged_file_are_refused_with_the_reason(folder: Path) -> None:
    np.save(folder / "stack.npy", np.zeros((12, 40, 50, 5), np.uint8))
    many = (folder / "stack.npy").read_bytes()
    with pytest.raises(
        Unreadable, match="holds 12 images, and a member of a tar or a cell of a table gives one; store"
    ):
        only_image(many, FIVE)
    with pytest.raises(Unreadable, match=r"NumPy file .*cut"):
        only_image((folder / "last.npy").read_bytes()[:-100], FIVE)
    for data in (b"", b"text", (folder / "pages.tif").read_bytes()[:300], (folder / "small.npz").read_bytes()[:200]):
        with pytest.raises(Unreadable):
            only_image(data, FIVE)
