"""Zips of other programs, damaged and hostile ones: read as far as they can be, and bounded in memory."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from selftaught.data.files.file_tree import MAX_FILE_BYTES, Unreadable
from selftaught.data.files.zip_tree import ZipTree
from selftaught.data.sources.base import Source
from selftaught.data.sources.open import open_source
from tests.data.trees import encoded, picture

LABELLED = frozenset({"image", "label"})
PNG = encoded(picture(0))


def packed(path: Path, names: dict[str, bytes] | list[str], *, system: int = 3) -> Path:
    files = names if isinstance(names, dict) else dict.fromkeys(names, PNG)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo("x")
            info.filename, info.create_system, info.compress_type = name, system, zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return path


def opened(path: Path, split: str = "train", needs: frozenset[str] = LABELLED) -> Source:
    return open_source(str(path), split=split, needs=needs)


def test_backslashes_are_folders(tmp_path: Path) -> None:
    names = [f"{part}\\{c}\\{i}.png" for part in ("train", "val") for c in ("cat", "dog") for i in range(3)]
    path = packed(tmp_path / "windows.zip", [*names, "train\\"], system=0)
    train, val = opened(path), opened(path, "held_out")
    assert train.classes == ("cat", "dog")
    assert (len(train), len(val)) == (6, 6)
    assert train.entries[0].key == "train/cat/0.png"
    assert train.read(0) == PNG


def test_names_that_lead_out_are_only_names(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", ["../../up.png", "/etc/root.png", "C:\\win\\c.png", "./here.png", "a//b.png"])
    tree = ZipTree(path)
    assert tree.keys == ["a/b.png", "etc/root.png", "here.png", "up.png", "win/c.png"]
    assert all(tree.read(key) == PNG for key in tree.keys)
    assert not (tmp_path.parent / "up.png").exists()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_of_one_name_are_reported_and_the_last_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, data in (("x.png", b"first"), ("x.png", b"second"), ("./x.png", PNG), ("y.png", PNG)):
            archive.writestr(name, data)
    source = opened(tmp_path / "a.zip", needs=frozenset({"image"}))
    tree = ZipTree(tmp_path / "a.zip")
    assert tree.keys == ["x.png", "y.png"]
    assert tree.read("x.png") == PNG
    assert any("2 members" in note and "have the name of a later one" in note for note in source.notes)


def test_what_is_kept_by_systems_is_left_out_and_counted(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", ["a.png", "b.png", "__MACOSX/._a.png", "x/@eaDir/t.png", ".git/z.png"])
    source = opened(path, needs=frozenset({"image"}))
    assert ZipTree(path).keys == ["a.png", "b.png"]
    assert source.left_out.counts == {"hidden": 3}


def test_a_zip_in_a_zip_and_videos_are_left_out_and_counted(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", ["a.png", "b.png", "inner.zip", "film.mp4", "scan.czi", "notes.txt"])
    source = opened(path, needs=frozenset({"image"}))
    assert source.left_out.counts == {".czi": 1, ".mp4": 1, ".zip": 1}
    assert any(note == "1 file of a kind that is not read was left out: 1 .czi" for note in source.notes)


def changed(path: Path, *, at: int, value: bytes) -> None:
    """Change bytes of the first entry of the directory, counted from its beginning."""
    data = path.read_bytes()
    start = data.index(b"PK\1\2") + at
    path.write_bytes(data[:start] + value + data[start + len(value) :])


@pytest.mark.parametrize(
    ("at", "value", "reason"),
    [
        (8, b"\x01\x08", "encrypted"),
        (10, struct.pack("<H", 99), "compressed in the zip by method 99"),
        (10, struct.pack("<H", zipfile.ZIP_LZMA), "compressed in the zip by method 14"),
        (20, struct.pack("<I", 0x7FFFFFFF), "claims 2147483647 bytes, more than 256 MB"),
        (24, struct.pack("<I", 0x7FFFFFFF), "claims 2147483647 bytes, more than 256 MB"),
        (24, struct.pack("<I", 5), "larger than it claims"),
        (42, struct.pack("<I", 0x7FFFFFF0), "its place in the zip is damaged"),
        (42, struct.pack("<I", 3), "its place in the zip is damaged"),
        (16, b"\0\0\0\0", "wrong check sum"),
    ],
)
def test_false_claims_make_one_file_unreadable(tmp_path: Path, at: int, value: bytes, reason: str) -> None:
    path = packed(tmp_path / "a.zip", ["a.png", "b.png"])
    changed(path, at=at, value=value)
    tree = ZipTree(path)
    with pytest.raises(Unreadable, match=reason):
        tree.read("a.png")
    assert isinstance(tree.start("a.png"), bytes)
    assert tree.read("b.png") == PNG


def test_sizes_and_places_of_zip64_are_checked(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("a.png")
        archive.writestr(info, PNG)
        archive.writestr("b.png", PNG)
        for member, place in ((archive.filelist[0], 2**62),):
            member.header_offset = place
            member.file_size = member.compress_size = 2**61
    path = tmp_path / "a.zip"
    path.write_bytes(buffer.getvalue())
    tree = ZipTree(path)
    with pytest.raises(Unreadable, match="claims"):
        tree.read("a.png")
    assert tree.start("a.png") == b""
    assert tree.read("b.png") == PNG


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(1 << 24)) + packer.flush(zlib.Z_FULL_FLUSH)  # can stand any number of times
    bomb = 20 * block + packer.flush()
    path = packed(tmp_path / "a.zip", {"a.png": b"", "b.png": PNG})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.png", bomb)
        archive.writestr("b.png", PNG)
    changed(path, at=10, value=struct.pack("<H", zipfile.ZIP_DEFLATED))
    changed(path, at=24, value=struct.pack("<I", 1000))
    tracemalloc.start()
    with pytest.raises(Unreadable, match="larger than it claims"):
        ZipTree(path).read("a.png")
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
    assert MAX_FILE_BYTES == 256 << 20


@pytest.mark.parametrize("damage", ["cut", "none", "empty", "directory", "names", "large"])
def test_what_is_no_zip_is_one_sentence(tmp_path: Path, damage: str) -> None:
    path = packed(tmp_path / "a.zip", ["a.png", "b.png"])
    data = path.read_bytes()
    end = data.rindex(b"PK\5\6")
    bad = {
        "cut": data[: len(data) // 2],
        "none": np.random.default_rng(0).bytes(5000),
        "empty": b"",
        "directory": data[: end + 12] + struct.pack("<II", 0x7FFFFFFF, 0x7FFFFFFF) + data[end + 20 :],
        "names": data.replace(b"a.png", b"\xff\xfe\xfdng").replace(
            b"PK\1\2\x14\3\x14\0\0\0", b"PK\1\2\x14\3\x14\0\0\x08"
        ),
        "large": data[:end] + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 2, 2, 0xFFFFFFF0, 0, 0),
    }[damage]
    path.write_bytes(bad)
    with pytest.raises(
        ValueError, match=r"a.zip (is not a whole zip archive|cannot be read: its list of members takes)"
    ):
        opened(path)


def test_bytes_before_the_archive_do_no_harm(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", ["a.png", "b.png"])
    path.write_bytes(b"#!/bin/sh\nexit\n" + path.read_bytes())
    assert ZipTree(path).read("b.png") == PNG
