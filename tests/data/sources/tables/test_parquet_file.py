"""One Parquet file: a whole footer, rows that are there, damaged row groups beside whole ones."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from selftaught.data.files.file_tree import Unreadable
from selftaught.data.sources.tables.parquet_file import look_at, values_of
from selftaught.data.sources.tables.parquet_file import opened as opened_file
from tests.data.sources.opening import opened


def test_a_footer_that_claims_rows_without_end(tmp_path: Path) -> None:
    nothing = pa.table({"image": pa.nulls(2_000_000, pa.binary())})
    pq.write_table(nothing, tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"claims 2000000 rows in \d+ bytes"):
        opened(tmp_path / "a.parquet", held_out=0.0)


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
        opened(path, held_out=0.0)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400


def test_zero_rows_null_images_and_a_page_that_is_damaged(tmp_path: Path, photos: list[bytes]) -> None:
    pq.write_table(pa.table({"image": pa.array([], pa.binary())}), tmp_path / "none.parquet")
    with pytest.raises(ValueError, match="has no rows"):
        opened(tmp_path / "none.parquet", held_out=0.0)
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": photos}), path, row_group_size=8, compression="snappy", use_dictionary=False)
    group = pq.ParquetFile(path).metadata.row_group(1).column(0)
    whole = bytearray(path.read_bytes())
    whole[group.data_page_offset : group.data_page_offset + 64] = os.urandom(64)
    path.write_bytes(whole)
    source = opened(path, held_out=0.0)
    payloads = [payload for _, payload in source.iterate()]
    assert payloads[:8] + payloads[16:] == photos[:8] + photos[16:]
    assert all(isinstance(payload, Exception) for payload in payloads[8:16])
    assert "\n" not in str(payloads[8])
    with pytest.raises((OSError, ValueError)):
        source.read(9)
    assert source.read(17) == photos[17]
    nulls = tmp_path / "nulls.parquet"
    pq.write_table(pa.table({"image": [photos[0], None, b""]}), nulls)
    assert [type(payload) for _, payload in opened(nulls, held_out=0.0).iterate()] == [bytes, Unreadable, Unreadable]


def test_a_file_lists_its_rows_columns_and_labels(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table({"image": [b"x"] * 5, "label": ["b", "a", None, "b", "a"], "split": ["train"] * 4 + [None]})
    pq.write_table(table, path, row_group_size=2)
    part = look_at(path, "a")
    assert (part.rows, part.first_rows, part.labels) == (5, [0, 2, 4], None)
    found = values_of(part, is_labelled=True)
    assert found.labels == ["b", "a", None, "b", "a"]
    assert found.splits == ["train"] * 4 + [None]
    with opened_file(path, ["image"]) as reader:
        assert [cell.as_py() for batch in reader.batches(1) for cell in batch] == [b"x"] * 2
        assert reader.bytes_of(2) > 0
