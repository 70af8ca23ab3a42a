"""What a file is by its name and by its first bytes."""

from __future__ import annotations

import pytest

from selftaught.data.files.file_kinds import (
    IMAGE_SUFFIXES,
    extra_advice,
    is_companion,
    is_hidden,
    is_picture,
    is_video,
    starts_like_picture,
    starts_like_stream,
    suffix_of,
    told_kinds,
)
from tests.data.trees import encoded, picture


@pytest.mark.parametrize(
    ("key", "suffix"),
    [
        ("a/b.JPG", ".jpg"),
        ("a.b/c", ""),
        (".name", ""),
        ("a/.name", ""),
        ("5 m. high", ""),
        ("a.tar.gz", ".gz"),
        ("a.", ""),
        ("a.averylongending", ""),
    ],
)
def test_the_end_of_a_name(key: str, suffix: str) -> None:
    assert suffix_of(key) == suffix


def test_kinds_by_name() -> None:
    assert [key for key in ("a.jpg", "a.PNG", "b.mp4", "c.MOV", "d.txt", "e") if is_picture(key)] == ["a.jpg", "a.PNG"]
    assert [key for key in ("a.jpg", "b.mp4", "c.MOV", "d.txt", "e.ts") if is_video(key)] == ["b.mp4", "c.MOV", "e.ts"]
    assert all(map(is_companion, ("labels.csv", "README", "x/LICENSE", "weights.pth")))
    assert not any(map(is_companion, ("a.npy", "data", "x/abc")))
    assert all(map(is_hidden, (".git", "__MACOSX", "@eaDir", "lost+found")))
    assert not any(map(is_hidden, ("a", "found", "macosx")))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "TIFF", "WEBP", "AVIF", "JPEG2000"])
def test_images_are_known_by_their_first_bytes(kind: str) -> None:
    try:
        start = encoded(picture(0), kind)[:16]
    except (KeyError, OSError):
        pytest.skip(f"Pillow writes no {kind} here")
    assert starts_like_picture(start)


def test_other_files_do_not_start_like_an_image() -> None:
    for start in (b"", b"%PDF-1.7", b"RIFF\0\0\0\0WAVEfmt ", b"\0\0\0\x18ftypmp42", b"<html>"):
        assert not starts_like_picture(start)


def test_a_transport_stream_has_its_mark_at_every_packet() -> None:
    packet = b"\x47" + bytes(187)
    assert starts_like_stream(packet + packet[:1])
    assert starts_like_stream(bytes(4) + b"\x47" + bytes(191) + b"\x47")
    assert not starts_like_stream(b"\x47" + bytes(300))
    assert not starts_like_stream(b"import { a } from 'b'")


def test_the_most_frequent_kinds_are_listed_first() -> None:
    assert told_kinds({".npy": 2, ".heic": 26, "": 1}) == "26 .heic, 2 .npy, 1 without an ending"
    assert told_kinds({f".{i}": 9 - i for i in range(8)}).endswith("4 .5 and 5 others")


def test_advice_is_given_only_where_it_helps() -> None:
    assert bool(extra_advice(["a.HEIC"])) == (".heic" not in IMAGE_SUFFIXES)
    assert extra_advice(["a.jpg", "b.npy"]) == ""
