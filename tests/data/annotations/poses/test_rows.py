"""Rows of numbers, with comments and any separators."""

from __future__ import annotations

import pytest

from selftaught.data.annotations.poses.rows import read_rows


def test_rows_are_read_and_a_wrong_one_is_named() -> None:
    assert read_rows("# a b\n\n1 2 3\n4,5, 6\n7;8\t9 \n", "a", 2).tolist() == [[1, 2], [4, 5], [7, 8]]
    assert read_rows("# nothing\n", "a", 3).shape == (0, 3)
    with pytest.raises(ValueError, match=r"^line 2 of a must have 3 numbers, got 2$"):
        read_rows("1 2 3\n4 5\n", "a", 3)
    with pytest.raises(ValueError, match=r"^line 1 of a holds what is no number$"):
        read_rows("1 two 3\n", "a", 3)
