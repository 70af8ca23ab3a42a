"""The index of packed videos, written and read."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selftaught.data.store.video_index import VideoIndex


def test_every_column_comes_back(tmp_path: Path) -> None:
    names = [field.name for field in fields(VideoIndex)]
    columns: dict[str, Any] = {name: np.arange(3) + i for i, name in enumerate(names)}
    index = VideoIndex(**columns)
    index.save(tmp_path / "index.npz")
    found = VideoIndex.load(tmp_path / "index.npz")
    assert len(found) == 3
    for name in names:
        assert np.array_equal(getattr(found, name), getattr(index, name)), name


def test_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "index.npz").write_bytes(b"PK no more")
    with pytest.raises((OSError, ValueError)):
        VideoIndex.load(tmp_path / "index.npz")
