"""Zips are read in place, by several threads, with the layout of a folder."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from selftaught.data.files.file_tree import Unreadable
from selftaught.data.sources.base import Source
from selftaught.data.sources.open import open_source

IMAGES = frozenset({"image"})


def packed(path: Path, photos: list[bytes], *, method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for i, data in enumerate(photos):
            archive.writestr(f"pictures/{('train', 'val')[i % 2]}/{('a', 'b')[i // 12]}/{i:02d}.jpg", data)
        archive.writestr("__MACOSX/pictures/._00.jpg", b"mac")
        archive.writestr("masks/00.png", b"")
    return path


def opened(path: str | Path, split: str = "train") -> Source:
    return open_source(str(path), split=split, needs=IMAGES)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_are_read_by_many_threads(tmp_path: Path, photos: list[bytes], method: int) -> None:
    source = opened(packed(tmp_path / "a.zip", photos, method=method))
    assert [entry.key[-6:] for entry in source.entries] == [f"{i:02d}.jpg" for i in range(0, 24, 2)]
    assert source.classes == ("a", "b")
    with ThreadPoolExecutor(4) as pool:
        read = list(pool.map(source.read, list(range(12)) * 20))
    assert read == photos[::2] * 20


def test_a_folder_inside_the_zip(tmp_path: Path, photos: list[bytes]) -> None:
    path = packed(tmp_path / "a.zip", photos)
    assert len(opened(path / "pictures" / "val")) + len(opened(path / "pictures/val", "held_out")) == 12
    assert len(opened(path / "pictures", "held_out")) == 12
    with pytest.raises(ValueError, match="holds no images"):
        opened(path / "videos")


def test_a_folder_with_one_zip_is_the_zip(tmp_path: Path, photos: list[bytes]) -> None:
    packed(tmp_path / "a.zip", photos)
    (tmp_path / "README.md").write_text("about")
    assert len(opened(tmp_path)) == 12
    packed(tmp_path / "b.zip", photos)
    with pytest.raises(ValueError, match=r"2 zip archives \(a.zip, b.zip\)"):
        opened(tmp_path)


def test_damage_is_found(tmp_path: Path, photos: list[bytes]) -> None:
    path = packed(tmp_path / "a.zip", photos)
    whole = path.read_bytes()
    at = whole.index(photos[0]) + 1000
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
    source = opened(path)
    with pytest.raises(Unreadable, match="wrong check sum"):
        source.read(0)
    assert source.read(1) == photos[2]
    path.write_bytes(whole[:-100])
    with pytest.raises(ValueError, match="not a whole zip archive"):
        opened(path)


def test_imagenette(shared_data: Callable[[str], Path]) -> None:
    train = open_source(str(shared_data("imagenette128")), split="train", needs=frozenset({"image", "label"}))
    val = open_source(str(shared_data("imagenette128")), split="held_out", needs=IMAGES)
    assert (len(train), len(val)) == (9469, 2000)
    assert train.classes is not None
    assert train.classes[:2] == ("tench", "English springer")
