"""Several classes of one image: cells with separators, columns of 0 and 1, lists in Parquet."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from selftaught.data.sources.base import Source
from selftaught.data.sources.open import open_source
from tests.data.trees import Tree

LABELS, LABEL = frozenset({"image", "labels"}), frozenset({"image", "label"})


def opened(path: Path, needs: frozenset[str] = LABELS, split: str = "train") -> Source:
    return open_source(str(path), split=split, needs=needs, held_out=0.25)


@pytest.fixture
def folder(tmp_path: Path, tree: Tree, photos: list[bytes]) -> Path:
    return tree(tmp_path, {f"{i}.jpg": photos[i] for i in range(6)})


SPLIT = ["train", "train", "train", "test", "train"]


@pytest.mark.parametrize(
    "rows",
    [
        ["file,label,split", "0.jpg,cat;dog", "1.jpg,dog", "2.jpg,", "3.jpg,emu", "4.jpg,emu;cat"],
        ["file,label,split", "0.jpg,cat | dog", "1.jpg,dog", "2.jpg,", "3.jpg,emu", "4.jpg,emu|cat"],
        ["file,labels,split", "0.jpg,cat;dog", "1.jpg,dog", "2.jpg,", "3.jpg,emu", "4.jpg,emu;cat"],
        ["file,cat,dog,emu,split", "0.jpg,1,1,0", "1.jpg,0,1,0", "2.jpg,0,0,0", "3.jpg,0,0,1", "4.jpg,1,0,1"],
    ],
)
def test_tables(folder: Path, rows: list[str]) -> None:
    lines = [rows[0], *(f"{row},{part}" for row, part in zip(rows[1:], SPLIT, strict=True))]
    (folder / "labels.csv").write_text("\n".join(lines))
    train, test = opened(folder), opened(folder, split="test")
    assert train.classes == test.classes == ("cat", "dog", "emu")
    assert train.targets is not None
    assert train.targets.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0], [1, 0, 1]]
    assert test.targets is not None
    assert test.targets.tolist() == [[0, 0, 1]]
    assert test.part == "test"
    assert all(entry.label is None for entry in train.entries)
    with pytest.raises(ValueError, match=r"one class for each sample is needed, but those of .* may be of several"):
        opened(folder, LABEL)
    assert "label" not in opened(folder, frozenset({"image"})).provides


def test_minus_one_or_nothing_in_a_column_is_not_said(folder: Path) -> None:
    (folder / "labels.csv").write_text("file,a,b\n0.jpg,1,-1\n1.jpg,,0\n2.jpg,0,1\n3.jpg,0,0\n4.jpg,1,1\n")
    sources = [opened(folder), opened(folder, split="test")]
    rows = {e.key: s.targets[i].tolist() for s in sources if s.targets is not None for i, e in enumerate(s.entries)}
    assert rows["0.jpg"] == [1, -1]
    assert rows["1.jpg"] == [-1, 0]
    assert rows["5.jpg"] == [-1, -1]  # in no row of the table


def test_one_class_each_serves_who_takes_several(folder: Path) -> None:
    (folder / "labels.csv").write_text("file,label\n" + "\n".join(f"{i}.jpg,{'ab'[i % 2]}" for i in range(6)))
    source = opened(folder)
    assert source.targets is None
    assert source.classes == ("a", "b")
    assert opened(folder, LABEL).provides == {"image", "label"}


def test_lists_in_parquet(tmp_path: Path, photos: list[bytes]) -> None:
    labels = [[0, 2], [1], [], None, [2]]
    table = pa.table({"image": photos[:5], "label": labels}).replace_schema_metadata({"class_names": "x,y,z"})
    for part, rows in (("train", slice(0, 4)), ("test", slice(4, 5))):
        pq.write_table(table.slice(rows.start, rows.stop - rows.start), tmp_path / f"{part}.parquet")
    train = opened(tmp_path)
    assert train.classes == ("x", "y", "z")
    assert train.targets is not None
    assert train.targets.tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 0], [-1, -1, -1]]
    with pytest.raises(ValueError, match="one class for each sample is needed"):
        opened(tmp_path, LABEL)
    names = pa.table({"image": photos[:3], "labels": [["b", "a"], ["b"], ["c"]]})
    (tmp_path / "one").mkdir()
    pq.write_table(names, tmp_path / "one" / "x.parquet")
    assert opened(tmp_path / "one").classes == ("a", "b", "c")
