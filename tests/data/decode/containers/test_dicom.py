"""DICOM files: values of the modality, windows, inverted and coloured images, frames, patients, and what is refused."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from selftaught.core.settings.values import ValueRange
from selftaught.data.decode.containers.base import Box
from selftaught.data.files.file_tree import Unreadable
from tests.data.decode.containers.dicom_files import write_dicom

pytest.importorskip("pydicom")
from selftaught.data.decode.containers.dicom import DicomFile

STORED = np.random.default_rng(0).integers(0, 4000, (30, 40), dtype=np.uint16)


def test_numbers_are_rescaled_and_the_first_window_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    write_dicom(
        path,
        STORED,
        RescaleSlope=2,
        RescaleIntercept=-1024,
        WindowCenter=[40, 50],
        WindowWidth=[401, 1],
        PatientID="p7",
    )
    file = DicomFile(str(path), "a.dcm", 3)
    assert (file.names, file.group, file.size(0)) == (("",), "p7", (30, 40))
    image = file.read(0)
    np.testing.assert_array_equal(image.pixels[:, :, 0], STORED * 2.0 - 1024)
    assert image.window == ValueRange(40 - 0.5 - 200, 40 - 0.5 + 200)
    assert not image.is_deep
    low = image.pixels[:, :, 0] <= -160.5
    assert (image.shown(None)[low] == 0).all()
    np.testing.assert_array_equal(file.read(0, Box(3, 4, 5, 6)).pixels, image.pixels[3:8, 4:10])


def test_without_a_window_a_range_is_needed(tmp_path: Path) -> None:
    write_dicom(tmp_path / "a.dcm", STORED)
    image = DicomFile(str(tmp_path / "a.dcm"), "a.dcm", 3).read(0)
    assert image.is_deep
    np.testing.assert_array_equal(image.pixels[:, :, 0], STORED)


def test_monochrome1_is_inverted_and_colours_are_rgb(tmp_path: Path) -> None:
    grey = (STORED >> 4).astype(np.uint8)
    write_dicom(tmp_path / "a.dcm", grey, PhotometricInterpretation="MONOCHROME1")
    shown = DicomFile(str(tmp_path / "a.dcm"), "a.dcm", 3).read(0).shown(None)
    np.testing.assert_array_equal(shown[:, :, 1], 255 - grey)
    colours = np.stack([grey, grey // 2, grey // 3], 2)
    write_dicom(tmp_path / "b.dcm", colours)
    np.testing.assert_array_equal(DicomFile(str(tmp_path / "b.dcm"), "b.dcm", 3).read(0).shown(None), colours)


def test_every_frame_is_an_image(tmp_path: Path) -> None:
    frames = np.stack([STORED, STORED // 2, STORED // 3]).astype(np.int16)
    write_dicom(tmp_path / "a.dcm", frames)
    file = DicomFile(io.BytesIO((tmp_path / "a.dcm").read_bytes()), "a.dcm", 3)
    assert file.names == ("0", "1", "2")
    np.testing.assert_array_equal(file.read(2).pixels[:, :, 0], frames[2])


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(b"\0" * 128 + b"DICM and no more")
    with pytest.raises(Unreadable, match="DICOM file"):
        DicomFile(str(tmp_path / "a.dcm"), "a.dcm", 3)
    (tmp_path / "b.dcm").write_bytes(b"no DICOM")
    with pytest.raises(Unreadable, match="not a readable DICOM file"):
        DicomFile(str(tmp_path / "b.dcm"), "b.dcm", 3)
    write_dicom(tmp_path / "c.dcm", STORED)
    whole = (tmp_path / "c.dcm").read_bytes()
    (tmp_path / "c.dcm").write_bytes(whole[:-500])
    with pytest.raises(Unreadable, match="not a readable DICOM file"):
        DicomFile(str(tmp_path / "c.dcm"), "c.dcm", 3).read(0)
