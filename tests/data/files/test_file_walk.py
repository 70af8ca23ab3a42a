"""The files below a folder: what is no regular file is listed with its reason, and never opened."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from selftaught.data.files.file_walk import find_files
from selftaught.data.files.zip_tree import open_tree
from selftaught.data.sources.base import Source
from selftaught.data.sources.open import open_source
from selftaught.training.run_folder import RunFolder
from tests.data.trees import PNG, folder

IMAGES = frozenset({"image"})


def opened(path: Path, split: str = "train") -> Source:
    return open_source(str(path), split=split, needs=IMAGES)


def test_links_pipes_and_devices_are_listed_and_not_opened(tmp_path: Path) -> None:
    folder(tmp_path, "a.png", "b.png", "sub/c.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "absent.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "sub/up").symlink_to(tmp_path)
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.png")
    with socket.socket(socket.AF_UNIX) as bound:
        here = Path.cwd()
        os.chdir(tmp_path)  # the path of a socket is short
        bound.bind("socket.png")
        os.chdir(here)
    source = opened(tmp_path)
    assert dict(source.skipped) == {
        "gone.png": "a link to nothing",
        "loop.png": "Too many levels of symbolic links",
        "pipe.png": "no regular file (a pipe, socket or device)",
        "socket.png": "no regular file (a pipe, socket or device)",
        "zero.png": "no regular file (a pipe, socket or device)",
    }
    assert list(source.notes) == ["5 files or folders cannot be opened (such as gone.png: a link to nothing)"]
    assert len(source) + len(opened(tmp_path, "held_out")) == 3
    assert not opened(tmp_path, "held_out").skipped


def test_a_folder_without_permission_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(tmp_path, "a.png", "b.png", "locked/c.png")
    real = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert opened(tmp_path).skipped == [("locked/", "Permission denied")]
    monkeypatch.setattr(os, "scandir", lambda path: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    with pytest.raises(ValueError, match=r"cannot be read \(Permission denied\); check its permissions"):
        opened(tmp_path)


def test_paths_too_long_are_listed(tmp_path: Path) -> None:
    folder(tmp_path, "a.png", "b.png")
    here = Path.cwd()
    try:
        os.chdir(tmp_path)
        for _ in range(20):
            Path("d" * 250).mkdir()
            os.chdir("d" * 250)
        Path("deep.png").write_bytes(PNG)
    finally:
        os.chdir(here)
    source = opened(tmp_path)
    assert [why for _, why in source.skipped] == ["File name too long"]
    assert len(source) + len(opened(tmp_path, "held_out")) == 2


def test_names_of_any_bytes(tmp_path: Path) -> None:
    names = [b"caf\xe9.png", b"caf\xea.png", b"new\nline.png", b'quo"te.png', "ünï.png".encode(), b"n" * 240 + b".png"]
    for name in names:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(PNG)
    sources = [opened(tmp_path, split) for split in ("train", "held_out")]
    assert {entry.key for source in sources for entry in source.entries} == {os.fsdecode(name) for name in names}
    assert all(source.read(i) == PNG for source in sources for i in range(len(source)))


def test_folders_that_systems_keep_are_left_out_and_counted(tmp_path: Path) -> None:
    folder(tmp_path, "a.png", "b.png", "@eaDir/a.png/SYNO.jpg", "x/__MACOSX/._b.png", ".thumbnails/1.jpg", "._a.png")
    folder(
        tmp_path, "$RECYCLE.BIN/c.png", "lost+found/d.png", ".ipynb_checkpoints/e.png", "_gsdata_/f.png", "Thumbs.db"
    )
    source = opened(tmp_path)
    assert len(source) + len(opened(tmp_path, "held_out")) == 2
    assert source.left_out.counts == {"hidden": 8}
    (note,) = source.notes
    assert note.startswith(
        "8 files that are hidden or kept by a system for itself were left out (such as $RECYCLE.BIN/"
    )


def test_annotated_data_walk_alike(tmp_path: Path) -> None:
    folder(tmp_path, "a.png", "@eaDir/b.png")
    os.mkfifo(tmp_path / "pipe.json")
    assert open_tree(str(tmp_path)).keys == ["a.png"]
    assert find_files(tmp_path).unusable[0][0] == "pipe.json"


def test_a_folder_of_empty_files_opens(tmp_path: Path) -> None:
    for i in range(3):
        (tmp_path / f"{i}.png").write_bytes(b"")
    assert opened(tmp_path).read(0) == b""


def test_what_was_skipped_is_written_whatever_its_name(tmp_path: Path) -> None:
    RunFolder(tmp_path).write_skipped(
        [("caf\udce9.png", "broken"), ("caf\udcea.png", "broken"), ("new\nline.png", "x")]
    )
    text = (tmp_path / "skipped.csv").read_bytes().decode()
    assert text == 'path,reason\ncaf\\xe9.png,broken\ncaf\\xea.png,broken\n"new\nline.png",x\n'
