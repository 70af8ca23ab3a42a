"""Which columns of a table hold images, labels and splits."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from selftaught.data.files.file_tree import Unreadable
from selftaught.data.sources.tables.row_columns import Columns, NoPictures, arrow_reasons, encoded, find_columns
from tests.data.sources.opening import LABELLED, opened
from tests.data.sources.rows import write


def test_labels_that_are_needed_say_which_column_might_hold_them(tmp_path: Path, photos: list[bytes]) -> None:
    path = write(tmp_path / "a.parquet", {"image": photos[:4], "species": ["a", "b", "a", "b"]})
    with pytest.raises(ValueError, match=r"rename the column of labels \(of species\) to label$"):
        opened(path, needs=LABELLED)


@pytest.mark.parametrize(
    ("column", "sentence"),
    [
        ({"image": ["https://a/b.jpg"]}, "its column image holds texts, such as URLs"),
        ({"image": [[b"a", b"b"]]}, r"its column image is of type list<"),
        ({"image": [[[1, 2], [3, 4]]]}, r"its column image is of type list<"),
        ({"photo": [b"a"]}, "rename the column photo to image"),
    ],
)
def test_other_columns_of_images_are_one_helpful_sentence(
    tmp_path: Path, column: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence) as refused:
        opened(write(tmp_path / "a.parquet", column))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("path", ["/dev/zero", "pipe", "https://a/b.jpg", "a\0b", "."])
def test_a_path_in_a_cell_is_a_file_or_a_reason(tmp_path: Path, photos: list[bytes], path: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    cells = [{"bytes": photos[0], "path": "x"}, {"bytes": None, "path": path}]
    pq.write_table(pa.table({"image": cells}), tmp_path / "a.parquet")
    kinds = [type(payload) for _, payload in opened(tmp_path / "a.parquet", held_out=0.0).iterate()]
    assert kinds == [bytes, Unreadable]


def test_columns_are_found_by_name_and_type() -> None:
    picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema([("image", pa.string()), ("img", picture), ("cls", pa.int64()), ("Split", pa.string())])
    assert find_columns(schema) == Columns("img", "cls", "Split")
    assert find_columns(pa.schema([("jpg", pa.large_binary()), ("split", pa.int64())])) == Columns("jpg", None, None)
    with pytest.raises(NoPictures, match=r"^has no column 'image' of encoded images .*, only a, b; rename"):
        find_columns(pa.schema([("a", pa.int64()), ("b", pa.string())]))


def test_a_cell_is_bytes_or_a_file_beside(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"file")
    assert encoded(b"cell", tmp_path) == b"cell"
    assert encoded({"bytes": b"cell", "path": "x.jpg"}, tmp_path) == b"cell"
    assert encoded({"bytes": None, "path": "x.jpg"}, tmp_path) == b"file"
    for nothing in (None, b"", {"bytes": None, "path": None}, 3):
        with pytest.raises(Unreadable, match=r"^the row has no image$"):
            encoded(nothing, tmp_path)


def test_whatever_arrow_raises_is_one_line() -> None:
    with pytest.raises(Unreadable, match=r"^two lines$"), arrow_reasons():
        raise pa.ArrowInvalid("two\nlines")
    with pytest.raises(FileNotFoundError), arrow_reasons():
        raise FileNotFoundError
