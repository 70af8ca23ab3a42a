"""Damaged and hostile Parquet: what can be read is, the rest has a reason, and memory stays bounded."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from selftaught.data.files.file_tree import Unreadable
from selftaught.data.sources.tables import parquet_pages
from selftaught.data.sources.tables.parquet_pages import check_group, read_footer
from tests.data.sources.opening import opened

MEGABYTE = 1 << 20


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
    source = opened(path, held_out=0.0)
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
            opened(path, needs=frozenset({"label"}), held_out=0.0)
        assert grown() - before < 800


def test_the_footer_has_rows_and_positions_of_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": [b"x" * 1000] * 7, "n": range(7)}), path, row_group_size=3, compression="zstd")
    with path.open("rb") as file:
        groups = read_footer(file.fileno())
        assert [group.rows for group in groups] == [3, 3, 1]
        known = pq.ParquetFile(path).metadata
        for number, group in enumerate(groups):
            columns = [known.row_group(number).column(c) for c in range(2)]
            assert [chunk.length for chunk in group.chunks] == [c.total_compressed_size for c in columns]
            assert 0 < check_group(file.fileno(), group, [0]) <= columns[0].total_uncompressed_size
        with pytest.raises(Unreadable, match=r"^the footer or the header of a page is damaged$"):
            check_group(file.fileno(), groups[0], [2])


def test_what_does_not_end_as_parquet_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"PAR1", b"\xff\xff\xff\x7fPAR1"):
        (tmp_path / "a").write_bytes(content)
        ending = "^the end of the file is not that of Parquet$"
        with (tmp_path / "a").open("rb") as file, pytest.raises(Unreadable, match=ending):
            read_footer(file.fileno())
