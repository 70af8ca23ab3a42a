"""Names of the images of a file, and a file that cannot be opened."""

from __future__ import annotations

import pytest

from selftaught.data.decode.containers.base import BrokenFile, numbered
from selftaught.data.files.file_tree import Unreadable


def test_names_sort_as_they_are_numbered() -> None:
    assert numbered(1) == ("",)
    assert numbered(3) == ("0", "1", "2")
    assert list(numbered(11)) == sorted(numbered(11))


def test_a_broken_file_is_one_image_that_says_why() -> None:
    file = BrokenFile("a truncated file")
    assert file.names == ("",)
    assert file.held_bytes == 0
    for read in (file.size, file.read):
        with pytest.raises(Unreadable, match="a truncated file"):
            read(0)
