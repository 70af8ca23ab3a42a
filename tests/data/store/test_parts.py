"""Parts are drawn from what can be read, a limit bounds the work, and deep images are read by one range."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import selftaught
from selftaught.data.batch import Sampling
from selftaught.data.sources.base import Source
from selftaught.data.store.cache import list_stores
from selftaught.data.store.open import open_samples
from selftaught.data.store.parts import SomeEntries, open_halves, open_some
from selftaught.data.store.samples import NothingReadable, Samples
from tests.data.small_runs import QUICK, source_of

pytestmark = pytest.mark.usefixtures("cache")


def photos(folder: Path, count: int = 20) -> Path:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(count):
        coarse = rng.integers(0, 255, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((48, 48)).save(folder / f"p{i:02d}.png")
    return folder


def opened(source: Source) -> Samples:
    return open_samples(source, side=16, sampling=Sampling(), cache_limit_gb=1.0, workers=1)


def spoil(folder: Path, keys: list[str]) -> None:
    for key in keys:
        (folder / key).write_bytes(b"broken")


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

    from selftaught.evaluation.data.base import Asked
    from selftaught.evaluation.data.unlabelled import open_unlabelled
    from selftaught.training.encoder_of_run import read_config

    described = open_unlabelled(Asked(data=read_config(tmp_path / "run").data, size=32, kind="image"))
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


def test_some_entries_are_read_and_distinguished(tmp_path: Path) -> None:
    source = source_of(photos(tmp_path / "photos"), "train", 0.0)
    some = SomeEntries(source, np.array([3, 7]))
    assert some.read(1) == source.read(7)
    assert [i for i, _ in some.iterate()] == [0, 1]
    assert some.fingerprint != SomeEntries(source, np.array([3, 8])).fingerprint


def test_pages_beyond_the_first_are_reported(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    pages = [Image.open(folder / f"p{i:02d}.png") for i in range(3)]
    pages[0].save(folder / "stack.gif", save_all=True, append_images=pages[1:])
    result = selftaught.pretrain(folder, out=tmp_path / "run", **QUICK)
    # Without tifffile a hint follows, for stacks.
    assert any(
        note.startswith("1 file has more than one page or frame; the first of each is used") for note in result["notes"]
    )


def test_the_pixel_limit_is_a_setting(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    Image.new("RGB", (200, 200)).save(folder / "large.png")
    result = selftaught.pretrain(folder, out=tmp_path / "run", max_image_pixels=10_000, **QUICK)
    listed = (tmp_path / "run" / "skipped.csv").read_text()
    assert result["skipped"] == 1
    assert 'large.png,"claims 200 x 200 pixels, more than 0.01 million' in listed
    assert "--max-image-pixels raises the limit" in listed
