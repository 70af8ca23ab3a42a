"""Files below a folder, found by key and read alike."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from selftaught.data.files.content import File, fingerprint_of
from selftaught.data.files.file_tree import START_BYTES, FolderTree, Unreadable
from tests.data.trees import PNG, folder


def test_a_file_that_changes_after_it_was_listed_is_unreadable(tmp_path: Path) -> None:
    tree = FolderTree(folder(tmp_path, "a.png", "b.png", "c.png"))
    (tmp_path / "a.png").unlink()
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(Unreadable, match="no regular file any more"):
        tree.read("a.png")
    (tmp_path / "b.png").unlink()
    with pytest.raises(FileNotFoundError):
        tree.read("b.png")
    (tmp_path / "c.png").write_bytes(PNG[:20])
    assert tree.read("c.png") == PNG[:20]
    with (tmp_path / "c.png").open("r+b") as file:
        file.truncate(300 << 20)  # sparse
    with pytest.raises(Unreadable, match="314572800 bytes, more than 256 MB"):
        tree.read("c.png")


def test_files_are_read_by_their_relative_path(tmp_path: Path) -> None:
    tree = FolderTree(folder(tmp_path, "b.png", "a/c.png"))
    (tmp_path / "later.png").write_bytes(PNG)
    assert tree.keys == ["a/c.png", "b.png"]
    assert tree.read("a/c.png") == PNG
    assert tree.start("b.png") == PNG[:START_BYTES]
    assert tree.start("gone.png") == b""
    assert "a/c.png" in tree
    assert "later.png" not in tree
    with pytest.raises(Unreadable, match=r"bytes, more than 0 MB$"):
        tree.read("b.png", most=10)


def test_text_is_read_with_or_without_a_mark_of_its_encoding(tmp_path: Path) -> None:
    (tmp_path / "marked.txt").write_bytes(b"\xef\xbb\xbfcaf\xc3\xa9")
    (tmp_path / "broken.txt").write_bytes(b"caf\xe9")
    tree = FolderTree(tmp_path)
    assert tree.text("marked.txt") == "café"
    assert tree.text("broken.txt") == "caf\ufffd"
    assert tree.text("gone.txt") is None


def test_the_fingerprint_is_of_the_content_below_the_folder(tmp_path: Path) -> None:
    first, second = (FolderTree(folder(tmp_path / name, "a.png", "b.png")) for name in ("x", "y"))
    assert first.fingerprint(["a.png", "b.png"]) == second.fingerprint(["a.png", "b.png"])
    assert first.fingerprint(["a.png"]) == first.stamp("a.png") != first.stamp("b.png")
    status = (tmp_path / "x" / "a.png").stat()
    one = File(str(tmp_path / "x" / "a.png"), "a.png", status.st_size, status.st_mtime_ns)
    assert first.stamp("a.png") == fingerprint_of([one])


def test_what_cannot_be_opened_is_reported_once(tmp_path: Path) -> None:
    folder(tmp_path, "a.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "absent")
    tree = FolderTree(tmp_path)
    assert tree.told() == ["1 file or folder cannot be opened (such as gone.png: a link to nothing)"]
