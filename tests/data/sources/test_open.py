"""The door of the data: what a path or a name is taken for."""

from __future__ import annotations

from pathlib import Path

import pytest

from selftaught.core.own_folder import mark, record
from selftaught.data.sources.open import open_source


def test_a_folder_that_selftaught_wrote_is_no_data(tmp_path: Path) -> None:
    mark(tmp_path / "run", "run")
    record(tmp_path / "run" / "preview.png").write_bytes(b"")
    with pytest.raises(
        ValueError, match=r"run is a folder that selftaught wrote, such as a run, and holds no data; give"
    ):
        open_source(str(tmp_path / "run"), split="train", needs=frozenset({"image"}))


def test_an_empty_folder_is_said_to_be_empty(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no pictures, videos, .* among its 0 files"):
        open_source(str(tmp_path), split="train", needs=frozenset({"image"}))
