"""Pictures of a page are no larger than its sizes allow; a clip is a still and an animation."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from selftaught.report.blocks.markup import photograph
from selftaught.report.blocks.pictures import SHRINKS, Album, Shrink, clip_uri


def clip(path: Path, count: int = 20, side: int = 300) -> Path:
    frames = [Image.new("RGB", (side, side // 2), (10 * i, 10 * i, 10 * i)) for i in range(count)]
    frames[0].save(path, "WEBP", save_all=True, append_images=frames[1:], duration=125, loop=0)
    return path


def decoded(uri: str) -> Image.Image:
    head, data = uri.split(",", 1)
    assert head == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.mark.parametrize("sizes", SHRINKS[:3], ids=["first", "second", "third"])
def test_a_clip_has_the_size_and_the_frames_of_the_page(tmp_path: Path, sizes: Shrink) -> None:
    found = clip_uri(clip(tmp_path / "a.webp"), sizes)
    assert found is not None
    uri, width, height = found
    moving = decoded(uri)
    assert (width, height) == moving.size == (sizes.photograph, sizes.photograph // 2)
    frames = min(20, sizes.frames)
    assert getattr(moving, "n_frames", 1) == frames
    levels = []
    for i in range(frames):
        moving.seek(i)
        levels.append(np.asarray(moving.convert("RGB")).mean() / 10)
    assert np.abs(np.array(levels) - np.arange(frames) * 20 // frames).max() < 0.5
    moving.load()
    assert moving.info["duration"] == round(125 * 20 / frames)


def test_what_is_no_clip_stands_still(tmp_path: Path) -> None:
    (tmp_path / "text.webp").write_text("no image")
    Image.new("RGB", (8, 8)).save(tmp_path / "still.webp")
    Image.new("RGB", (8, 8)).save(tmp_path / "still.png")
    for name in ("text.webp", "still.webp", "still.png"):
        assert clip_uri(tmp_path / name, SHRINKS[0]) is None
        assert "data-clip" not in photograph(Album(), tmp_path / name, "any")
    assert clip_uri(clip(tmp_path / "a.webp"), SHRINKS[3]) is None
    assert Album(None).clip(tmp_path / "a.webp") is None


def test_a_damaged_clip_stands_still(tmp_path: Path) -> None:
    file = clip(tmp_path / "a.webp")
    file.write_bytes(file.read_bytes()[:-40])
    assert photograph(Album(), file, "any").count("<img") <= 1


def test_a_page_holds_both_of_a_clip(tmp_path: Path) -> None:
    shown = photograph(Album(), clip(tmp_path / "a.webp"), 'a "clip"')
    assert shown.startswith('<img data-clip="data:image/webp;base64,')
    assert ' src="data:image/webp;base64,' in shown
    assert 'alt="a &quot;clip&quot;"' in shown
