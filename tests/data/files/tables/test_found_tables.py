"""Tables of labels in the forms of Kaggle and of Hugging Face."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from selftaught.data.files.tables.found_tables import find_table
from selftaught.data.files.zip_tree import open_tree
from tests.data.sources.opening import LABELLED, opened
from tests.data.trees import Tree, text


def rows(folder: Path, images: list[str], column: str | None = None) -> tuple[list[list[str]], tuple[str, ...]]:
    found = find_table(open_tree(str(folder)), images, column)
    assert found is not None
    return list(csv.reader(io.StringIO(found.text))), found.notes


def test_ids_without_endings_are_files_in_train(tmp_path: Path) -> None:
    images = ["test/003.jpg", "train/001.jpg", "train/002.jpg"]
    for image in images:
        text(tmp_path / image, "")
    text(tmp_path / "train.csv", "id,breed\n001,beagle\n002,pug\n009,pug\n")
    text(tmp_path / "sample_submission.csv", "id,breed\n003,pug\n")
    found, notes = rows(tmp_path, images)
    assert found == [
        ["file", "label", "split"],
        ["test/003.jpg", "", "unlabelled"],
        ["train/001.jpg", "beagle", "train"],
        ["train/002.jpg", "pug", "train"],
    ]
    assert notes == (
        "labels of 2 of 3 files by train.csv, column breed",
        "1 rows of train.csv name no file (such as 009)",
    )


def test_a_column_can_be_asked_for_and_columns_of_classes_stay(tmp_path: Path) -> None:
    images = ["a.jpg", "b.jpg"]
    for image in images:
        text(tmp_path / image, "")
    text(tmp_path / "labels.csv", "image_id,age,sex\na.jpg,3,m\nb.jpg,5,f\n")
    assert find_table(open_tree(str(tmp_path)), images, None) is None
    assert rows(tmp_path, images, "sex")[0][1:] == [["a.jpg", "m", "3", "train"], ["b.jpg", "f", "5", "train"]]
    text(tmp_path / "labels.csv", "image_id,healthy,rust\na,1,0\nb,0,1\n")
    assert rows(tmp_path, images)[0] == [
        ["file", "healthy", "rust", "split"],
        ["a.jpg", "1", "0", "train"],
        ["b.jpg", "0", "1", "train"],
    ]


def test_folders_of_classes_go_before_a_table_of_ids(tmp_path: Path) -> None:
    images = ["cat/a.jpg", "dog/b.jpg"]
    for image in images:
        text(tmp_path / image, "")
    text(tmp_path / "list.csv", "path,label\ncat/a.jpg,1\ndog/b.jpg,2\n")
    assert find_table(open_tree(str(tmp_path)), images, None) is None


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
def test_metadata_name_the_files_of_their_folder(tmp_path: Path, tree: Tree, photos: list[bytes], name: str) -> None:
    files = {f"{part}/{i:02d}.jpg": photos[i] for i in range(12) for part in ("train", "test")}
    tree(tmp_path, files)
    for part in ("train", "test"):
        cells = [(f"{i:02d}.jpg", "cat" if i % 3 else "dog") for i in range(12)]
        lines = [f'{{"file_name": "{file}", "label": "{label}", "objects": {{"id": 1}}}}' for file, label in cells]
        if name.endswith(".csv"):
            lines = ["file_name,label", *(f"{file},{label}" for file, label in cells)]
        text(tmp_path / part / name, "\n".join(lines))
    source = opened(tmp_path, needs=LABELLED)
    assert source.classes == ("cat", "dog")
    assert [entry.key for entry in source.entries] == [f"train/{i:02d}.jpg" for i in range(12)]
    assert [entry.label for entry in source.entries] == [int(i % 3 == 0) for i in range(12)]
    assert {entry.key for entry in opened(tmp_path, "test", LABELLED).entries} == {
        f"test/{i:02d}.jpg" for i in range(12)
    }


def test_a_competition_is_a_labelled_data_set(tmp_path: Path, tree: Tree, photos: list[bytes]) -> None:
    tree(tmp_path, {f"train/{i:02d}.jpg": photos[i] for i in range(12)})
    tree(tmp_path, {f"test/{i:02d}.jpg": photos[i] for i in range(12, 16)})
    text(tmp_path / "train.csv", "id,label,site\n" + "".join(f"{i:02d},{i % 2},{i // 3}\n" for i in range(12)))
    source = opened(tmp_path, needs=LABELLED)
    assert source.classes == ("0", "1")
    assert all(entry.key.startswith("train/") and entry.label == int(entry.key[6:8]) % 2 for entry in source.entries)
    assert len(source) + len(opened(tmp_path, "test", LABELLED)) == 12
    assert any("test/" in entry.key for entry in opened(tmp_path).entries)


def test_broken_metadata_are_named(tmp_path: Path) -> None:
    text(tmp_path / "a.jpg", "")
    text(tmp_path / "metadata.jsonl", '{"file_name": "a.jpg", "label": 1}\nno JSON\n')
    with pytest.raises(ValueError, match=r"metadata.jsonl of .* is not JSON in line 2; correct or remove it"):
        find_table(open_tree(str(tmp_path)), ["a.jpg"], None)
