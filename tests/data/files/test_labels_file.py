"""labels.csv as people and spreadsheets write it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from selftaught.data.files.hints import UnfitHint
from selftaught.data.files.labels_file import Table, read_table, text_of
from selftaught.data.sources.open import open_source

KEYS = [f"{i}.jpg" for i in range(8)]


def read(*rows: str, header: str = "file,label,split") -> Table:
    return read_table(KEYS, "\n".join([header, *rows]), "photos")


def test_cells_and_header_are_stripped() -> None:
    rows = [f"{i}.jpg, {('tench', 'church')[i % 2]} ,{('train', 'test ', ' Test', 'valid')[i % 4]}" for i in range(8)]
    table = read(*rows, header=" File ,Label, split ")
    assert table.classes == ("church", "tench")
    assert table.labels["1.jpg"] == "church"
    assert [table.splits[key] for key in KEYS] == ["train", "test", "test", "val"] * 2
    assert table.notes == ()


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_delimiters_quotes_and_ends_of_lines(delimiter: str) -> None:
    rows = [delimiter.join((f"./{i}.jpg", '"cat, big"' if i else "dog")) for i in range(8)]
    table = read_table(KEYS, "\r\n".join([delimiter.join(("file", "label")), *rows, ""]), "photos")
    assert table.labels["0.jpg"] == "dog"
    assert table.labels["7.jpg"] == "cat, big"


def test_windows_paths_name_their_files() -> None:
    table = read_table(["a/x.jpg", "b/y.jpg"], "file,label\n.\\a\\x.jpg,1\nb/y.jpg,2\n", "photos")
    assert table.labels == {"a/x.jpg": "1", "b/y.jpg": "2"}


def test_what_does_not_fit_is_counted() -> None:
    rows = [f"{i}.{'jpeg' if i % 3 == 0 else 'jpg'},{i % 2},{'tset' if i == 1 else 'train'}" for i in range(8)]
    table = read(*rows, "2.jpg,0,train", header="file,label,split")
    assert table.notes == (
        "3 of 9 rows of labels.csv name no file (such as 0.jpeg)",
        "3 of 8 files have no row in labels.csv (such as 0.jpg)",
        "1 rows of labels.csv have a split that is none of train, val, test and unlabelled ('tset'); "
        "their files are in no part",
    )
    assert set(table.labels) == {"1.jpg", "2.jpg", "4.jpg", "5.jpg", "7.jpg"}
    table = read(*(f"{i}.jpg,{'nan' if i == 3 else '' if i == 4 else 'cat'}" for i in range(8)), header="file,label")
    assert table.classes == ("cat",)
    assert table.notes == ("2 of 8 files in labels.csv have no label",)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["0.jpg,cat,", "./0.jpg,dog,"], "names 0.jpg twice, with the label cat and dog"),
        (["0.jpg,cat,train", "0.jpg,cat,test"], "names 0.jpg twice, with the split train and test"),
        (["0.jpg,cat, big,train"], "has 4 cells in line 2 and 3 columns; put a cell that holds a comma into quotes"),
        (["x.jpg,cat,train"], r"names none of the 8 files beside it \(such as 0.jpg\) in its 1 rows \(such as x.jpg\)"),
        (['0.jpg,"cat' + "x" * 200_000], "is not a table of text"),
        ([], "names none of the 8 files"),
    ],
)
def test_what_cannot_be_meant_is_refused(rows: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(*rows)


def test_another_column_may_hold_the_label() -> None:
    rows = ["file,label,breed,split", *(f"{key},x,{'ab'[i % 2]},train" for i, key in enumerate(KEYS))]
    table = read_table(KEYS, "\n".join(rows), "photos", "breed")
    assert table.classes == ("a", "b")
    assert [table.labels[key] for key in KEYS] == ["ab"[i % 2] for i in range(len(KEYS))]
    assert set(table.splits.values()) == {"train"}
    with pytest.raises(
        UnfitHint, match=r"^--label-column kind is not a column of labels.csv of photos, which has label, b"
    ):
        read_table(KEYS, "\n".join(rows), "photos", "kind")


def test_a_table_without_labels_says_which_column_may_hold_them() -> None:
    rows = ["file,breed,split", *(f"{key},a,train" for key in KEYS)]
    table = read_table(KEYS, "\n".join(rows), "photos")
    assert (table.labels, table.classes, set(table.splits.values())) == ({}, None, {"train"})
    (note,) = table.notes
    assert note.endswith("the classes are not known; --label-column says which one holds them: breed")


def test_columns_are_checked() -> None:
    with pytest.raises(ValueError, match="must have the columns file and label"):
        read("0.jpg,cat", header="name,class")
    with pytest.raises(ValueError, match="has the column label 2 times"):
        read("0.jpg,cat,dog", header="file,label,Label")
    with pytest.raises(ValueError, match="got an empty file"):
        read_table(KEYS, "", "photos")


def test_several_classes_of_a_file() -> None:
    table = read("0.jpg, cat; dog", "1.jpg,dog", "1.jpg,dog", header="file,label")
    assert table.classes == ("cat", "dog")
    assert table.targets is not None
    assert table.targets["0.jpg"].tolist() == [1, 1]
    assert table.targets["1.jpg"].tolist() == [0, 1]


def test_encodings() -> None:
    assert text_of("file,label\n0.jpg,été".encode("utf-16"), "labels.csv") == "file,label\n0.jpg,été"
    assert text_of("file".encode("utf-8-sig"), "labels.csv") == "file"
    with pytest.raises(ValueError, match=r"labels.csv is not UTF-8 text \(line 2\); save it as UTF-8"):
        text_of("file,label\n0.jpg,été".encode("latin-1"), "labels.csv")
    with pytest.raises(ValueError, match=r"labels.csv is no text, for it holds zero bytes; save it as UTF-8"):
        text_of(bytes(1000), "labels.csv")


def test_a_table_below_the_top_is_not_read_and_reported(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("in/a.png", "b.png", "c.png", "in/labels.csv"):
        (tmp_path / name).write_bytes(b"")
    source = open_source(str(tmp_path), split="train", needs=frozenset({"image"}))
    assert list(source.notes) == [
        "in/labels.csv is not read, as it is not at the top of the data; give its folder to use it"
    ]


@pytest.mark.parametrize("suffix", ["", ".zip"])
def test_a_table_in_the_folder_that_holds_all_images_is_read(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / "data" / "photos"
    (folder / "im").mkdir(parents=True)
    for i in range(4):
        (folder / "im" / f"{i}.png").write_bytes(b"image")
    rows = "".join(f"im/{i}.png,{'ab'[i % 2]},{'train' if i < 2 else 'test'}\n" for i in range(4))
    (folder / "labels.csv").write_text("file,label,split\n" + rows)
    if suffix:
        shutil.make_archive(str(tmp_path / "data"), "zip", tmp_path / "data")
    data = f"{tmp_path / 'data'}{suffix}"
    for split, first in (("train", 0), ("test", 2)):
        source = open_source(data, split=split, needs=frozenset({"label"}))
        assert source.classes == ("a", "b")
        told = [(entry.key, entry.label) for entry in source.entries]
        assert told == [(f"photos/im/{first}.png", 0), (f"photos/im/{first + 1}.png", 1)]
        assert not source.notes
