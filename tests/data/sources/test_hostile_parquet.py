"""Damaged and hostile Parquet: what can be read is, the rest has a reason, and memory stays bounded."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from selftaught.data.files.file_tree import Unreadable
from selftaught.data.sources.base import Source
from selftaught.data.sources.open import open_source
from selftaught.data.sources.tables import parquet_pages

MEGABYTE = 1 << 20


def opened(path: Path, needs: frozenset[str] = frozenset({"image"})) -> Source:
    return open_source(str(path), split="train", needs=needs, held_out=0.0)


def grown() -> int:
    """Most memory so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def repeated(value: Any, rows: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([value]))


@pytest.mark.parametrize("kind", ["bytes", "struct", "labels", "page", "lists"])
def test_what_unpacks_to_gigabytes_is_refused_or_read_row_by_row(
    tmp_path: Path, photos: list[bytes], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_pages, "MAX_PAGE_BYTES", 50 * MEGABYTE)
    path, rows, large = tmp_path / "a.parquet", 500, bytes(20 * MEGABYTE)
    settings: dict[str, Any] = {"compression": "zstd", "dictionary_pagesize_limit": 1 << 30}
    if kind == "bytes":
        pq.write_table(pa.table({"image": repeated(large, rows)}), path, **settings)
    elif kind == "struct":
        names = pa.array(["x"] * rows)
        cells = pa.StructArray.from_arrays([repeated(large, rows), names], names=["bytes", "path"])
        pq.write_table(pa.table({"image": cells}), path, **settings)
    elif kind == "labels":
        table = pa.table({"image": pa.array([photos[0]] * rows), "label": repeated("x" * len(large), rows)})
        pq.write_table(table, path, **settings)
    elif kind == "lists":
        inside = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows * 20, np.int32)), pa.array(["x" * len(large)]))
        labels = pa.ListArray.from_arrays(pa.array(np.arange(0, rows * 20 + 1, 20), pa.int32()), inside)
        pq.write_table(pa.table({"image": pa.array([photos[0]] * rows), "label": labels}), path, **settings)
    else:
        cells = pa.array([large] * 3)
        settings["data_page_size"] = 1 << 30
        pq.write_table(pa.table({"image": cells}), path, use_dictionary=False, **settings)
    assert path.stat().st_size < MEGABYTE
    before = grown()
    source = opened(path)
    for _, payload in zip(range(40), source.iterate(), strict=False):
        if kind == "page":
            assert isinstance(payload[1], Unreadable)
            assert "a page unpacks to 60 MB" in str(payload[1])
    if kind == "page":
        with pytest.raises(Unreadable, match="a page unpacks to 60 MB"):
            source.read(2)
    assert grown() - before < 800
    if kind in ("labels", "lists"):
        with pytest.raises(ValueError, match="characters"):
            opened(path, frozenset({"label"}))
        assert grown() - before < 800


def test_a_footer_that_claims_rows_without_end(tmp_path: Path) -> None:
    nothing = pa.table({"image": pa.nulls(2_000_000, pa.binary())})
    pq.write_table(nothing, tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"claims 2000000 rows in \d+ bytes"):
        opened(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (lambda whole: b"PARE" + whole[4:], "is encrypted"),
        (lambda whole: b"", "not whole Parquet"),
        (lambda whole: whole[:-8] + b"\xff\xff\xff\x7fPAR1", "not whole Parquet"),
        (lambda whole: whole[:-8], "not whole Parquet"),
        (lambda whole: whole[:-300] + bytes(200) + whole[-100:], "not whole Parquet|has no"),
    ],
)
def test_files_that_are_not_whole(
    tmp_path: Path, photos: list[bytes], content: Callable[[bytes], bytes], sentence: str
) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": photos}), path)
    path.write_bytes(content(path.read_bytes()))
    with pytest.raises(ValueError, match=sentence) as refused:
        opened(path)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400


def test_zero_rows_null_pictures_and_a_page_that_is_damaged(tmp_path: Path, photos: list[bytes]) -> None:
    pq.write_table(pa.table({"image": pa.array([], pa.binary())}), tmp_path / "none.parquet")
    with pytest.raises(ValueError, match="has no rows"):
        opened(tmp_path / "none.parquet")
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": photos}), path, row_group_size=8, compression="snappy", use_dictionary=False)
    group = pq.ParquetFile(path).metadata.row_group(1).column(0)
    whole = bytearray(path.read_bytes())
    whole[group.data_page_offset : group.data_page_offset + 64] = os.urandom(64)
    path.write_bytes(whole)
    source = opened(path)
    payloads = [payload for _, payload in source.iterate()]
    assert payloads[:8] + payloads[16:] == photos[:8] + photos[16:]
    assert all(isinstance(payload, Exception) for payload in payloads[8:16])
    assert "\n" not in str(payloads[8])
    with pytest.raises((OSError, ValueError)):
        source.read(9)
    assert source.read(17) == photos[17]
    nulls = tmp_path / "nulls.parquet"
    pq.write_table(pa.table({"image": [photos[0], None, b""]}), nulls)
    assert [type(payload) for _, payload in opened(nulls).iterate()] == [bytes, Unreadable, Unreadable]


@pytest.mark.parametrize("path", ["/dev/zero", "pipe", "https://a/b.jpg", "a\0b", "."])
def test_a_path_in_a_cell_is_a_file_or_a_reason(tmp_path: Path, photos: list[bytes], path: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    cells = [{"bytes": photos[0], "path": "x"}, {"bytes": None, "path": path}]
    pq.write_table(pa.table({"image": cells}), tmp_path / "a.parquet")
    kinds = [type(payload) for _, payload in opened(tmp_path / "a.parquet").iterate()]
    assert kinds == [bytes, Unreadable]
