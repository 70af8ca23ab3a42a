"""Images of a page are no larger than its sizes allow; a clip is a still and an animation."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from selftaught.report.blocks.markup import photograph
from selftaught.report.blocks.pictures import SHRINKS, Album, Shrink, Uri, clip_uri, data_uri


def clip(path: Path, count: int = 20, side: int = 300, duration: int = 125) -> Path:
    frames = [Image.new("RGB", (side, side // 2), (10 * i, 10 * i, 10 * i)) for i in range(count)]
    frames[0].save(path, "WEBP", save_all=True, append_images=frames[1:], duration=duration, loop=0)
    return path


def decoded(uri: str) -> Image.Image:
    head, data = uri.split(",", 1)
    assert head == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.mark.parametrize("sizes", SHRINKS[:3], ids=["first", "second", "third"])
def test_a_clip_has_the_size_and_the_frames_of_the_page(tmp_path: Path, sizes: Shrink) -> None:
    found = clip_uri(clip(tmp_path / "a.webp"), sizes, sizes.photograph)
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


def test_a_clip_lasts_as_long_as_its_file_says(tmp_path: Path) -> None:
    found = clip_uri(clip(tmp_path / "a.webp", side=64, duration=40), SHRINKS[2], 112)
    assert found is not None
    moving = decoded(found[0])
    moving.load()
    assert moving.info["duration"] == round(40 * 20 / 8)


def test_a_small_clip_is_passed_on_untouched(tmp_path: Path) -> None:
    file = clip(tmp_path / "a.webp", side=96)
    found = clip_uri(file, SHRINKS[0], 256)
    assert found is not None
    assert base64.b64decode(found[0].split(",", 1)[1]) == file.read_bytes()
    assert found[1:] == (96, 48)
    smaller = clip_uri(file, SHRINKS[1], 160)
    assert smaller is not None
    assert len(smaller[0]) < len(found[0])


def test_what_is_no_clip_stands_still(tmp_path: Path) -> None:
    (tmp_path / "text.webp").write_text("no image")
    Image.new("RGB", (8, 8)).save(tmp_path / "still.webp")
    Image.new("RGB", (8, 8)).save(tmp_path / "still.png")
    for name in ("text.webp", "still.webp", "still.png"):
        assert clip_uri(tmp_path / name, SHRINKS[0], 256) is None
        assert "data-clip" not in photograph(Album(), tmp_path / name, "any")
    assert clip_uri(clip(tmp_path / "a.webp"), SHRINKS[3], 72) is None
    assert Album(None).clip(tmp_path / "a.webp") is None


def test_a_damaged_clip_is_left_out_or_stands_still(tmp_path: Path) -> None:
    file = clip(tmp_path / "a.webp")
    whole = file.read_bytes()
    file.write_bytes(whole[:-40])
    assert photograph(Album(), file, "any") == ""
    file.write_bytes(whole[:-150] + b"\xff" * 40 + whole[-110:])  # one of the last frames
    shown = photograph(Album(), file, "any")
    assert (shown.count("<img"), shown.count("data-clip")) == (1, 0)


def test_a_page_holds_both_of_a_clip(tmp_path: Path) -> None:
    shown = photograph(Album(), clip(tmp_path / "a.webp"), 'a "clip"')
    assert shown.startswith('<img data-clip="data:image/webp;base64,')
    assert ' src="data:image/webp;base64,' in shown
    assert 'alt="a &quot;clip&quot;"' in shown


SHRINK = Shrink(photograph=20, drawing=30, sheet=40, quality=80, small=500, frames=4)


def saved(path: Path, side: int, seed: int = 0) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, 2 * side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def read(uri: Uri | None) -> Image.Image:
    assert uri is not None
    kind, _, data = uri[0].partition(";base64,")
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert kind == f"data:image/{str(image.format).lower()}"
    assert image.size == uri[1:]
    return image


def test_large_images_become_webp_of_the_side_asked_for(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", 50)
    for uri, width in (
        (Album(SHRINK).photograph(path), 20),
        (Album(SHRINK).drawing(path), 30),
    ):
        image = read(uri)
        assert (image.format, image.width, image.height) == ("WEBP", width, width // 2)


def test_kernels_keep_every_pixel(tmp_path: Path) -> None:
    png = saved(tmp_path / "a.png", 50)
    assert np.array_equal(np.asarray(read(Album(SHRINK).exact(png))), np.asarray(Image.open(png)))
    Image.open(png).save(tmp_path / "a.bmp")
    lossless = read(Album(SHRINK).exact(tmp_path / "a.bmp"))
    assert lossless.format == "WEBP"
    assert np.array_equal(np.asarray(lossless), np.asarray(Image.open(png)))


def test_a_small_png_is_passed_on_untouched(tmp_path: Path) -> None:
    Image.new("RGB", (16, 8), (9, 8, 7)).save(tmp_path / "a.png")
    uri = data_uri(tmp_path / "a.png", SHRINK, 20)
    assert uri is not None
    assert base64.b64decode(uri[0].partition(",")[2]) == (tmp_path / "a.png").read_bytes()
    larger = data_uri(tmp_path / "a.png", SHRINK, 10)
    assert read(larger).format == "WEBP"


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\nnot an image"])
def test_what_is_no_image_is_left_out(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    album = Album()
    assert album.photograph(tmp_path / "a.png") is None
    assert album.sheet(tmp_path / "a.png") is None
    assert album.style() == ":root{}"


def test_a_sheet_that_comes_twice_weighs_once(tmp_path: Path) -> None:
    album = Album()
    one, other = saved(tmp_path / "a.png", 30), saved(tmp_path / "b.png", 30, seed=1)
    first, second, third = album.sheet(one), album.sheet(other), album.sheet(one)
    assert first is not None
    assert second is not None
    assert (first.name, second.name, third) == ("--p0", "--p1", first)
    assert album.style().count("url(data:image/webp") == 2


def test_an_album_without_a_size_shows_nothing(tmp_path: Path) -> None:
    path, album = saved(tmp_path / "a.png", 30), Album(None)
    assert [read(path) for read in (album.photograph, album.drawing, album.exact, album.sheet)] == [None] * 4
    sides = [(shrink.photograph, shrink.sheet, shrink.quality) for shrink in SHRINKS]
    assert sides == sorted(sides, reverse=True)
