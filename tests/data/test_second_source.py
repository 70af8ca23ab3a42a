"""Images of a second source: drawn by the generator alone, and one sentence where there are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from selftaught.data.second_source import SecondSource


def write_photos(folder: Path, count: int = 12) -> Path:
    """Images of one colour each: 10, 20, ... grey levels."""
    folder.mkdir()
    for n in range(count):
        Image.fromarray(np.full((40, 48, 3), 10 * (n + 1), np.uint8)).save(folder / f"{n:02}.png")
    return folder


def test_draws_are_a_function_of_the_generator(tmp_path: Path) -> None:
    photos = SecondSource(str(write_photos(tmp_path / "photos")), flag="--task.real", size=32)
    first, again, other = (photos.draw(30, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert first.dtype == torch.uint8
    assert first.shape == (30, 3, first.shape[2], first.shape[2])
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    levels = set(first.flatten(1).float().mean(1).tolist())
    assert levels <= {10.0 * (n + 1) for n in range(12)}
    assert len(levels) > 6


def test_what_is_no_source_of_photos_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^--task\.real .*nowhere: "):
        SecondSource(str(tmp_path / "nowhere"), flag="--task.real", size=32)
    pytest.importorskip("mujoco", reason="needs MuJoCo, the extra [world]")
    with pytest.raises(ValueError, match=r"^--task\.real must be images that are kept, got world; give a folder"):
        SecondSource("world", flag="--task.real", size=32)
