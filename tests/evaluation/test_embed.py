"""The vector of every sample, and the samples most like one image."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from selftaught.data.sources.synthetic import draw
from selftaught.evaluation.embed import embed_data
from selftaught.evaluation.search import search_data
from selftaught.evaluation.subject import open_subject
from tests.evaluation.small_run import DATA


@pytest.mark.parametrize("name", ["one.png", "photo.jpg", "x.bmp", "a.png", "24.png"])
def test_a_single_image_is_embedded_and_found(run: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "data").mkdir()
    Image.new("RGB", (40, 40), (9, 80, 200)).save(tmp_path / "data" / name)
    assert embed_data(open_subject(run), str(tmp_path / "data"), tmp_path / "f.csv")["samples"] == 1
    assert search_data(open_subject(run), str(tmp_path / "data"), tmp_path / "data" / name) == []  # only itself
    copy = shutil.copy(tmp_path / "data" / name, tmp_path / name)
    assert [row["path"] for row in search_data(open_subject(run), str(tmp_path / "data"), copy)] == [name]
    with pytest.raises(ValueError, match="holds only one file, and none in the held-out part; add some"):
        embed_data(open_subject(run), str(tmp_path / "data"), tmp_path / "g.csv", split="held_out")


def test_pages_of_a_stack_are_embedded_searched_and_left_out_by_their_names(run: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "s.npy", np.random.default_rng(0).integers(0, 256, (6, 40, 40, 3), dtype=np.uint8))
    found = embed_data(open_subject(run), str(tmp_path / "s.npy"), tmp_path / "f.csv")
    assert found["samples"] == 6
    assert [note.partition(" (")[0] for note in found["notes"]] == ["1 file holds several images each, 6 in all"]
    rows = search_data(open_subject(run), str(tmp_path / "s.npy"), tmp_path / "s.npy#3")
    assert sorted(row["path"] for row in rows) == [f"s.npy#{page}" for page in (0, 1, 2, 4, 5)]


def test_files_of_all_parts_that_cannot_be_read_are_counted(run: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for part in ("train", "val", "test"):
        (data / part / "a").mkdir(parents=True)
        for i in range(2):
            (data / part / "a" / f"{part}{i}.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=f"^none of the 6 files of {data} can be read; the first, "):
        embed_data(open_subject(run), str(data), tmp_path / "f.csv")
    assert not (tmp_path / "f.csv").exists()
    Image.new("RGB", (40, 40), (9, 80, 200)).save(data / "train" / "a" / "whole.png")
    found = embed_data(open_subject(run), str(data), tmp_path / "f.csv")
    assert (found["samples"], found["skipped"]) == (1, 6)


def test_embed_gives_every_sample_one_vector(run: Path, tmp_path: Path) -> None:
    table = pq.read_table(embed_data(open_subject(run), DATA, tmp_path / "features.parquet")["out"])
    assert table.column_names == ["id", "path", "label", "vector"]
    assert table.num_rows == 200
    assert len(set(table["path"].to_pylist())) == 200
    assert len(table["vector"][0].as_py()) == 96
    assert set(table["label"].to_pylist()) == {"disc", "square", "triangle", "cross", "bar"}


def test_search_finds_the_image_itself_first(run: Path, tmp_path: Path) -> None:
    Image.fromarray(draw(17, side=32)).save(tmp_path / "query.png")
    found = search_data(open_subject(run), DATA, tmp_path / "query.png", top=3)
    assert [f["rank"] for f in found] == [1, 2, 3]
    assert found[0]["path"] == "synthetic/00000017"
    assert found[0]["similarity"] > 0.99
    (tmp_path / "broken.png").write_bytes(b"not an image")
    with pytest.raises(ValueError, match=r"--query .*broken.png cannot be read"):
        search_data(open_subject(run), DATA, tmp_path / "broken.png")
