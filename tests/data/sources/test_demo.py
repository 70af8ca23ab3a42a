from __future__ import annotations

import numpy as np
import pytest

from selftaught.data.sources.demo import FOLDER, SIDE, DemoPatches
from selftaught.data.sources.open import open_source


def patches(split: str) -> DemoPatches:
    source = open_source("demo", split=split, needs=frozenset({"image", "label"}))
    assert isinstance(source, DemoPatches)
    return source


def test_no_pixel_is_in_both_halves() -> None:
    seen: dict[str, set[int]] = {}
    for split in ("train", "test"):
        for patch in patches(split)._patches:
            columns = seen.setdefault(f"{split} {patch.photograph}", set())
            columns |= set(range(patch.left, patch.left + SIDE))
    for name in patches("train").classes or ():
        assert seen[f"train {name}"], name
        assert seen[f"test {name}"], name
        assert not seen[f"train {name}"] & seen[f"test {name}"], name


def test_patches_are_grey_and_whole() -> None:
    source = patches("test")
    for i in range(0, len(source), 97):
        picture = source.read(i)
        assert picture.shape == (SIDE, SIDE, 3)
        assert picture.dtype == np.uint8
        assert (picture == picture[:, :, :1]).all()


def test_every_photograph_has_its_share_of_both_halves() -> None:
    for split in ("train", "held_out"):
        source = patches(split)
        counts = np.bincount([entry.label or 0 for entry in source.entries], minlength=12)
        assert counts.min() >= 0.4 * counts.max()
    assert patches("held_out").fingerprint == patches("test").fingerprint != patches("train").fingerprint


@pytest.mark.parametrize(("needs", "count"), [({"video"}, 20), ({"video", "audio"}, 3)])
def test_clips_serve_tasks_on_video_and_sound(needs: set[str], count: int) -> None:
    halves = [open_source("demo", split=split, needs=frozenset(needs)) for split in ("train", "held_out")]
    assert sum(map(len, halves)) == count
    assert all(len(half) for half in halves)
    assert all(needs <= half.provides for half in halves)


def test_every_file_is_attributed() -> None:
    text = (FOLDER / "ATTRIBUTION.md").read_text()
    files = [path for path in FOLDER.rglob("*") if path.is_file() and path.suffix in {".jpg", ".mp4"}]
    assert len(files) == 35
    for path in files:
        assert path.name in text or path.name.startswith("sign_"), path.name
