"""The verbs of vectors from a name without extension to a page of thumbnails."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import selftaught
from selftaught.evaluation.vectors import work
from tests.evaluation.vectors.small_subject import write_images, write_weights


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("place")
    write_images(folder / "data", 12)
    write_weights(folder / "w.safetensors")
    return folder


def test_data_are_embedded_once_and_the_query_is_left_out(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, data = f"timm:test_resnet:{place / 'w.safetensors'}", place / "data"
    shard = work.Packed.shard
    embedded: list[int] = []

    def noted(self: work.Packed, number: int, device: Any) -> Any:
        embedded.append(number)
        return shard(self, number, device)

    monkeypatch.setattr(work.Packed, "shard", noted)
    asked: Any = {"query": data / "a" / "4.png", "size": 32}
    first = selftaught.search(run, data, top=30, **asked)
    assert len(embedded) > 0
    count = len(embedded)
    assert {row["path"] for row in first} == {f"{'ab'[n % 2]}/{n}.png" for n in range(12)} - {"a/4.png"}
    assert [row["rank"] for row in first] == list(range(1, 12))
    page = place / "page.html"
    assert selftaught.search(run, data, top=2, out=page, **asked) == first[:2]
    assert len(embedded) == count
    assert "2 of 12 samples similar to 4.png" in page.read_text()
    assert "the page of these results" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"page\.html is there already; give another name, or --overwrite"):
        selftaught.search(run, data, out=page, **asked)
    (data / "b" / "1.png").write_bytes((data / "a" / "4.png").read_bytes())
    again = selftaught.search(run, data, top=1, **asked)
    assert again[0]["path"] == "b/1.png"
    assert again[0]["similarity"] > 0.9999
    assert len(embedded) == 2 * count
    assert (
        "the data have changed since they were embedded for search; they are embedded again" in capsys.readouterr().err
    )
    write_weights(place / "w.safetensors", scale=0.9)
    selftaught.search(run, data, top=1, **asked)
    assert len(embedded) == 3 * count
    assert "the weights of the run have changed since" in capsys.readouterr().err


def test_a_folder_of_embed_is_searched(place: Path) -> None:
    run, out = f"timm:test_resnet:{place / 'w.safetensors'}", place / "vectors"
    told = selftaught.embed(run, place / "data", out=out, size=32, shard_size=5)
    assert (told["samples"], told["features"]) == (12, 96)
    asked: Any = {"query": place / "data" / "a" / "4.png", "size": 32}
    assert selftaught.search(run, out, **asked) == selftaught.search(run, place / "data", **asked)
    other = write_weights(place / "other.safetensors", scale=0.5)
    with pytest.raises(ValueError, match=r"vectors holds vectors of another encoder than that of .*; give the run"):
        selftaught.search(other, out, **asked)


def test_what_is_for_a_folder_is_not_for_a_file(place: Path) -> None:
    run, data, out = f"timm:test_resnet:{place / 'w.safetensors'}", place / "data", place / "v.csv"
    for_folders: list[dict[str, Any]] = [{"shard_size": 5}, {"stream": "always"}]
    for asked in for_folders:
        with pytest.raises(ValueError, match=r"is for a folder of Parquet files, got --out .*; give a name without"):
            selftaught.embed(run, data, out=out, size=32, **asked)
    with pytest.raises(ValueError, match="several processes write a folder of Parquet files, got --out"):
        selftaught.embed(run, data, out=out, size=32, devices=2)


def test_a_run_that_cannot_be_written_to_has_its_vectors_in_the_cache(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: "evaluated" not in str(path) and path != place)
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(place / "cache"))
    run, data = f"timm:test_resnet:{place / 'w.safetensors'}", write_images(place / "more", 4)
    assert len(selftaught.search(run, data, query=data / "a" / "2.png", size=32)) == 3
    assert len(list((place / "cache" / "search").iterdir())) == 1
