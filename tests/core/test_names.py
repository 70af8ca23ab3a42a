"""Names of files and of things, as people are shown them."""

from __future__ import annotations

import os

import pytest

from selftaught.core.names import one_line, printable, short_task


@pytest.mark.parametrize(
    ("raw", "shown"),
    [(b"caf\xc3\xa9.png", "café.png"), (b"caf\xe9.png", "caf\\xe9.png"), (b"\xff\xfe", "\\xff\\xfe"), (b"a b", "a b")],
)
def test_a_name_that_is_no_utf8_can_be_written_and_stays_different(raw: bytes, shown: str) -> None:
    name = os.fsdecode(raw)
    assert printable(name) == shown
    printable(name).encode("utf-8")


def test_surrogates_that_stand_for_no_byte_are_written_too() -> None:
    printable("a\ud800b\udcff").encode("utf-8")
    assert printable("a\ud800") != printable("a\ud801")


def test_a_message_stays_on_one_line() -> None:
    assert one_line("a\nb\x1b[31m\u2028c d\udcff") == "a\\nb\\x1b[31m\\u2028c d\\xff"


@pytest.mark.parametrize(
    ("task", "headline"),
    [
        ("rotation", "rotation"),
        ("path/to/my_task.py", "my_task"),
        ("C:\\tasks\\my_task.py", "my_task"),
        ("my_package.my_task", "my_task"),
        ("jigsaw+tasks/my_task.py", "jigsaw+my_task"),
        ("<img src=x onerror=\"document.title='taken'\">", "<img src=x onerror=\"document.title='taken'\">"),
        ("", ""),
    ],
)
def test_a_headline_names_a_task_without_its_folders(task: str, headline: str) -> None:
    assert short_task(task) == headline
