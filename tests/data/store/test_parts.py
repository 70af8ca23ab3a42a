"""Parts are drawn from what can be read, a limit bounds the work, and deep images are read by one range."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

import selftaught
from selftaught.core.config import ValueRange, read_range
from selftaught.data.batch import Sampling
from selftaught.data.decode.high_depth import choose_range, to_uint8
from selftaught.data.decode.image import Decoding
from selftaught.data.sources.base import Source
from selftaught.data.sources.open import open_source
from selftaught.data.store.cache import list_stores
from selftaught.data.store.open import open_samples
from selftaught.data.store.parts import SomeEntries, open_halves, open_some
from selftaught.data.store.samples import NothingReadable, Samples


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path / "cache"))


def photos(folder: Path, count: int = 20) -> Path:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(count):
        coarse = rng.integers(0, 255, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((48, 48)).save(folder / f"p{i:02d}.png")
    return folder


def source_of(folder: Path, split: str, held_out: float = 0.1) -> Source:
    return open_source(str(folder), split=split, needs=frozenset({"image"}), held_out=held_out)


def opened(source: Source) -> Samples:
    return open_samples(source, side=16, sampling=Sampling(), cache_limit_gb=1.0, workers=1)


def spoil(folder: Path, keys: list[str]) -> None:
    for key in keys:
        (folder / key).write_bytes(b"broken")


QUICK: dict[str, Any] = {
    "task": "rotation", "encoder": "timm:test_resnet", "size": 32, "held_out": 0.2, "batch_size": 8, "steps": 1,
    "accelerator": "cpu", "precision": "32-true",
}  # fmt: skip


def test_a_held_out_part_is_drawn_from_what_can_be_read(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    held = [entry.key for entry in source_of(folder, "held_out").entries]
    spoil(folder, held)
    train, held_out = source_of(folder, "train"), source_of(folder, "held_out")
    halves = open_halves(train, held_out, opened, share=0.1)
    assert len(halves.train) + len(halves.held_out) == 20 - len(held)
    assert len(halves.held_out) == round(0.1 * (20 - len(held)))
    assert not {*halves.train.keys} & {*halves.held_out.keys}
    assert [key for key, _ in halves.held_out.skipped] == held
    assert halves.train.skipped == []
    again = open_halves(train, held_out, opened, share=0.1)
    assert list(again.held_out.keys) == list(halves.held_out.keys)
    assert "held out instead" in halves.notes[0]


def test_a_training_part_that_cannot_be_read_is_replaced(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    spoil(folder, [entry.key for entry in source_of(folder, "train", 0.3).entries])
    train, held_out = source_of(folder, "train", 0.3), source_of(folder, "held_out", 0.3)
    halves = open_halves(train, held_out, opened, share=0.3)
    assert len(halves.train) + len(halves.held_out) == len(held_out)
    assert len(halves.train) >= 1
    assert len(halves.train.skipped) == len(train)
    spoil(folder, [entry.key for entry in held_out.entries][1:])
    with pytest.raises(ValueError, match="only one sample can be read"):
        open_halves(train, source_of(folder, "held_out", 0.3), opened, share=0.3)
    spoil(folder, [entry.key for entry in held_out.entries])
    with pytest.raises(NothingReadable, match="none of the"):
        open_halves(train, source_of(folder, "held_out", 0.3), opened, share=0.3)


def test_a_run_and_embed_and_label_free_with_a_broken_held_out_file(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    held = [entry.key for entry in source_of(folder, "held_out", 0.2).entries]
    spoil(folder, held)
    result = selftaught.pretrain(folder, out=tmp_path / "run", **QUICK)
    assert result["skipped"] == len(held)
    assert result["heldout_samples"] >= 1
    assert any("held out instead" in note for note in result["notes"])
    import pyarrow.parquet as pq

    from selftaught.evaluation.labelled import open_unlabelled
    from selftaught.training.encoder_of_run import load_encoder, read_config

    described = open_unlabelled(read_config(tmp_path / "run"), load_encoder(tmp_path / "run"), str(folder))
    assert len(described.test) == result["heldout_samples"]
    assert not {*described.test.keys} & {*held}
    embedded = selftaught.embed(tmp_path / "run", folder, out=tmp_path / "f.parquet")
    assert embedded["skipped"] == len(held)
    assert pq.read_table(tmp_path / "f.parquet").num_rows == 20 - len(held)
    selftaught.embed(tmp_path / "run", folder, out=tmp_path / "held.csv", split="held_out")
    with (tmp_path / "held.csv").open(newline="") as file:
        assert [row["path"] for row in csv.DictReader(file)] == list(described.test.keys)


def test_a_limit_packs_no_more_than_it_uses(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", 60)
    source = source_of(folder, "train", 0.0)
    first = open_some(source, 8, opened, seed=3)
    assert len(first) == 8
    assert [store.samples for store in list_stores()] == [8]
    again = open_some(source, 8, opened, seed=3)
    assert list(again.keys) == list(first.keys)
    assert len(list_stores()) == 1
    assert list(open_some(source, 8, opened, seed=4).keys) != list(first.keys)
    spoil(folder, list(first.keys[:3]))
    mended = open_some(source_of(folder, "train", 0.0), 8, opened, seed=3)
    assert len(mended) == 8
    assert {*first.keys[3:]} <= {*mended.keys}
    assert len(open_some(source, 100, opened, seed=3)) == 57


def test_some_entries_are_read_and_told_apart(tmp_path: Path) -> None:
    source = source_of(photos(tmp_path / "photos"), "train", 0.0)
    some = SomeEntries(source, np.array([3, 7]))
    assert some.read(1) == source.read(7)
    assert [i for i, _ in some.iterate()] == [0, 1]
    assert some.fingerprint != SomeEntries(source, np.array([3, 8])).fingerprint


def deep_folder(folder: Path, low: int, high: int, ending: str = ".png") -> Path:
    """Images of 16 bits whose values differ from image to image within the range."""
    folder.mkdir(parents=True)
    ramp = np.linspace(low, high, 64 * 64).reshape(64, 64)
    for i in range(20):
        part = ramp if i % 2 else low + (ramp - low) / 4
        (folder / f"{i:02d}{ending}").write_bytes(cv2.imencode(ending, part.astype(np.uint16))[1].tobytes())
    return folder


@pytest.mark.parametrize("ending", [".png", ".tiff"])
@pytest.mark.parametrize(("low", "high", "text"), [(0, 4095, "0,4095"), (0, 65535, "0,65535"), (200, 1200, "200,1198")])
def test_one_range_for_a_whole_run(tmp_path: Path, low: int, high: int, text: str, ending: str) -> None:
    from selftaught.core.config import RunConfig
    from selftaught.data.sources.value_range import decoding_of, with_range

    folder = deep_folder(tmp_path / "deep", low, high, ending)
    config = with_range(RunConfig(data=str(folder), out="out"), source_of(folder, "train", 0.0))
    assert config.value_range == text
    found = read_range(config.value_range)
    assert found is not None
    assert abs(found.low - low) <= 0.01 * (high - low)
    assert abs(found.high - high) <= 0.01 * (high - low)
    assert with_range(RunConfig(data=str(folder), out="out"), source_of(folder, "train", 0.0)) == config
    source = source_of(folder, "train", 0.0)
    samples = open_samples(
        source, side=64, sampling=Sampling(), cache_limit_gb=1.0, workers=1, decoding=decoding_of(config)
    )
    images = samples.read(np.arange(2), np.full((2, 3), 0.5)).image
    assert images is not None
    assert len(np.unique(images[1])) >= 200
    # The darker image stays darker: not each by its own range.
    assert abs(float(images[0].max()) - 64) <= 3
    assert images[1].min() <= 1
    assert images[1].max() >= 254


def test_the_range_is_told_and_kept_by_the_run(tmp_path: Path) -> None:
    folder = deep_folder(tmp_path / "deep", 0, 4095)
    result = selftaught.pretrain(folder, out=tmp_path / "run", **QUICK)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["value_range"] == "0,4095"
    assert any("0 to 4095" in note for note in result["notes"])
    own = selftaught.pretrain(folder, out=tmp_path / "own", value_range="0,1000", **QUICK)
    assert any("0 to 1000" in note for note in own["notes"])
    with pytest.raises(ValueError, match="--value-range must be auto or two numbers LOW,HIGH"):
        selftaught.pretrain(folder, out=tmp_path / "no", value_range="5,5", **QUICK)


def test_a_range_is_that_of_the_bits_or_of_the_data() -> None:
    rng = np.random.default_rng(0)

    def integers(low: int, high: int) -> np.ndarray[Any, Any]:
        return rng.integers(low, high + 1, (80, 80, 1)).astype(np.uint16)

    assert choose_range([integers(0, 4095)]) == ValueRange(0, 4095)
    assert choose_range([integers(0, 255)]) == ValueRange(0, 255)
    assert choose_range([integers(0, 900), integers(0, 64000)]) == ValueRange(0, 65535)
    hounsfield = rng.integers(-1000, 2000, (80, 80, 1)).astype(np.int16)
    low, high = choose_range([hounsfield])
    assert -1000 <= low < -980
    assert 1980 < high <= 2000
    floats = rng.random((80, 80, 1)).astype(np.float32)
    assert choose_range([floats]) == ValueRange(0, 1)
    floats[0, 0] = np.nan
    floats[0, 1] = np.inf
    assert choose_range([floats]) == ValueRange(0, 1)
    flat = choose_range([np.full((8, 8, 1), 7, np.uint16)])
    assert flat.low < flat.high


def test_values_become_levels_and_transparency_white() -> None:
    ramp = np.arange(4096, dtype=np.uint16).reshape(64, 64, 1)
    for kind in (np.uint16, np.int16, np.int32, np.float32, np.float64):
        shown = to_uint8(ramp.astype(kind), ValueRange(0, 4095))
        assert shown.shape == (64, 64, 3)
        assert np.array_equal(shown[:, :, 0].ravel(), np.floor(ramp.ravel() / 4095 * 255 + 0.5))
    assert to_uint8(np.array([[[np.nan], [-np.inf], [np.inf], [0.5]]]), None)[0, :, 0].tolist() == [0, 0, 255, 128]
    clear = np.zeros((1, 2, 4), np.uint16)
    clear[0, 1, 3] = 65535
    assert to_uint8(clear, None)[0, :, 0].tolist() == [255, 0]
    assert to_uint8(ramp, ValueRange(0, 4095), is_inverted=True)[0, 0, 0] == 255


def test_eight_bits_are_never_changed() -> None:
    from selftaught.data.decode.image import decode_image

    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    data = cv2.imencode(".png", image[:, :, ::-1])[1].tobytes()
    assert np.array_equal(decode_image(data, decoding=Decoding(ValueRange(50, 60))), image)


def test_pages_beyond_the_first_are_told(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    pages = [Image.open(folder / f"p{i:02d}.png") for i in range(3)]
    pages[0].save(folder / "stack.tif", save_all=True, append_images=pages[1:])
    result = selftaught.pretrain(folder, out=tmp_path / "run", **QUICK)
    assert "1 file has more than one page or frame; the first of each is used" in result["notes"]


def test_the_pixel_limit_is_a_setting(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    Image.new("RGB", (200, 200)).save(folder / "large.png")
    result = selftaught.pretrain(folder, out=tmp_path / "run", max_image_pixels=10_000, **QUICK)
    listed = (tmp_path / "run" / "skipped.csv").read_text()
    assert result["skipped"] == 1
    assert 'large.png,"claims 200 x 200 pixels, more than 0.01 million' in listed
    assert "--max-image-pixels raises the limit" in listed


def test_boxes_and_masks_of_deep_images_are_read_by_the_range_of_the_training_part(tmp_path: Path) -> None:
    from selftaught.data.sources.dense import open_dense

    for i in range(8):
        for folder in ("images", "masks"):
            (tmp_path / folder).mkdir(exist_ok=True)
        ramp = np.linspace(100, 900 if i % 2 else 300, 32 * 32).reshape(32, 32).astype(np.uint16)
        (tmp_path / "images" / f"{i}.png").write_bytes(cv2.imencode(".png", ramp)[1].tobytes())
        Image.fromarray((ramp > 200).astype(np.uint8)).save(tmp_path / "masks" / f"{i}.png")
    (tmp_path / "classes.txt").write_text("background\nthing\n")
    data = open_dense(str(tmp_path), needs=frozenset({"mask"}), held_out=0.3)
    tops = sorted({int(half.read(i).image.max()) for half in (data.train, data.test) for i in range(len(half))})
    assert len(tops) == 2
    assert tops[1] >= 254
    assert abs(tops[0] - 64) < 4
