"""Labels and splits of files: from labels.csv, classes.txt or their folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selftaught.data.files.file_tree import FolderTree
from selftaught.data.files.hints import Hints, UnfitHint
from selftaught.data.sources.layout import Layout, choose_entries, in_no_part, notes_of, read_layout, table_folder
from selftaught.data.sources.open import open_source
from tests.data.sources.opening import IMAGES, LABELLED, opened
from tests.data.trees import Tree, folder


def test_unlabelled_part_trains_but_is_not_probed(tmp_path: Path, tree: Tree, photos: list[bytes]) -> None:
    tree(tmp_path, {f"unlabeled/{i}.jpg": data for i, data in enumerate(photos[:10])})
    for part in ("train", "test"):
        tree(tmp_path, {f"{part}/{c}/{i}.jpg": photos[i] for c in "ab" for i in range(3)})
    assert len(opened(tmp_path)) == 16
    assert len(opened(tmp_path, needs=LABELLED)) == 6


def test_the_column_of_the_label_may_have_another_name(tmp_path: Path, tree: Tree, photos: list[bytes]) -> None:
    tree(tmp_path, {f"{i}.jpg": photos[i] for i in range(6)})
    rows = [f"{i}.jpg,{'xy'[i % 2]},{'uvw'[i % 3]}" for i in range(6)]
    (tmp_path / "labels.csv").write_text("\n".join(["file,kind,place", *rows]))
    assert opened(tmp_path).classes is None
    with pytest.raises(ValueError, match="name the one that holds them by --label-column"):
        opened(tmp_path, needs=LABELLED)
    for column, classes in (("kind", ("x", "y")), ("place", ("u", "v", "w"))):
        hints = Hints(label_column=column)
        assert open_source(str(tmp_path), split="train", needs=LABELLED, hints=hints).classes == classes
    (tmp_path / "labels.csv").unlink()
    with pytest.raises(UnfitHint, match=r"^--label-column names a column of labels.csv, and"):
        open_source(str(tmp_path), split="train", needs=IMAGES, hints=Hints(label_column="kind"))


def test_labels_csv_goes_before_folders(tmp_path: Path, tree: Tree, photos: list[bytes]) -> None:
    tree(tmp_path, {f"x{i % 2}/{i:02d}.jpg": data for i, data in enumerate(photos)})
    rows = [f"x{i % 2}/{i:02d}.jpg,{10 if i < 12 else 9},{'train' if i % 4 else 'test'}" for i in range(23)]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label,split", *rows]), encoding="utf-8-sig")
    train = opened(tmp_path, needs=LABELLED)
    assert train.classes == ("9", "10")
    assert len(train) == 17  # 23 rows, 6 of them test; the file without a row is in no split
    assert {e.label for e in train.entries if e.key.endswith("01.jpg")} == {1}
    (tmp_path / "labels.csv").write_text("name,class\n")
    with pytest.raises(ValueError, match="must have the columns file and label"):
        opened(tmp_path)
    (tmp_path / "labels.csv").write_text("file,label\nother.jpg,1\n")
    with pytest.raises(ValueError, match="names none of the 24 files"):
        opened(tmp_path)


def test_classes_txt_names_the_folders(tmp_path: Path, tree: Tree, photos: list[bytes]) -> None:
    tree(tmp_path, {f"n{i % 2}/{i}.jpg": data for i, data in enumerate(photos)})
    (tmp_path / "classes.txt").write_text("n0\ttench\nn1\tchurch\n")
    assert opened(tmp_path).classes == ("tench", "church")


KEYS = [f"{name}/{i}.jpg" for name in ("n1", "n2") for i in range(2)]


@pytest.mark.parametrize(
    ("lines", "classes", "note"),
    [
        ("n1\tcat\nn2\tdog\n", ("cat", "dog"), ""),
        ("n2\tant\n", ("n1", "ant"), "names no class for 1 of 2 folders (such as n1)"),
        ("n1\tcat\nn2\tcat\n", ("n1", "n2"), "gives one name to two folders and is not used"),
        ("no tab\n", ("n1", "n2"), ""),
    ],
)
def test_classes_keep_the_order_of_their_folders(lines: str, classes: tuple[str, ...], note: str) -> None:
    layout = read_layout(KEYS, table=None, names=lines, where="photos")
    assert layout.classes == classes
    assert layout.labels["n2/0.jpg"] == classes[1]
    assert "".join(layout.class_notes).removeprefix("classes.txt ") == note
    with pytest.raises(ValueError, match=r"^classes.txt of photos names the folder n1 twice; leave one line$"):
        read_layout(KEYS, table=None, names="n1\tcat\nn1\tdog\n", where="photos")


def test_a_table_is_found_at_the_top_or_in_the_folder_of_all(tmp_path: Path) -> None:
    folder(tmp_path, "set/a/0.png", "set/b/1.png")
    assert table_folder(FolderTree(tmp_path), ["set/a/0.png", "set/b/1.png"]) is None
    (tmp_path / "set" / "labels.csv").write_text("file,label\n")
    tree = FolderTree(tmp_path)
    assert table_folder(tree, ["set/a/0.png", "set/b/1.png"]) == "set/"
    assert table_folder(tree, ["set/a/0.png", "other/1.png"]) is None


def test_what_is_in_no_part_is_reported() -> None:
    keys = ["train/a/0.jpg", "val/a/1.jpg", "extra/a/2.jpg"]
    layout = read_layout(keys, table=None, names=None, where="photos")
    assert in_no_part(keys, layout) == ["extra/a/2.jpg"]
    assert "1 of 3 files belong to no part of the data (such as extra/a/2.jpg)" in notes_of(keys, layout, IMAGES)
    assert in_no_part(KEYS, read_layout(KEYS, table=None, names=None, where="photos")) == []


def test_entries_have_the_number_of_their_class() -> None:
    layout = read_layout(KEYS, table=None, names=None, where="photos")
    found = choose_entries(KEYS, layout, split="train", needs=LABELLED, seed=0, held_out=0.0, where="photos")
    assert [(entry.key, entry.label) for entry in found] == list(zip(KEYS, [0, 0, 1, 1], strict=True))


def test_several_classes_become_targets() -> None:
    table = "file,label\nn1/0.jpg,cat;dog\nn2/1.jpg,dog\n"
    layout = read_layout(KEYS, table=table, names=None, where="photos")
    assert layout.many
    assert layout.targets is not None
    assert layout.classes == ("cat", "dog")
    assert np.array_equal(layout.targets["n1/0.jpg"], [1, 1])
    assert np.array_equal(layout.targets["n2/1.jpg"], [0, 1])


def test_what_is_all_of_one_group_or_silent_is_called_so() -> None:
    alone = Layout(labels={}, splits={}, classes=None, groups=dict.fromkeys(KEYS, "ann"))
    how: Any = {"split": "held_out", "seed": 0, "held_out": 0.5, "where": "clips"}
    with pytest.raises(ValueError, match=rf"^clips holds {len(KEYS)} files of one group \(--groups\), and none"):
        choose_entries(KEYS, alone, needs=frozenset({"video"}), **how)
    one = Layout(labels={}, splits={}, classes=None)
    with pytest.raises(ValueError, match=r"^clips holds only one file with sound, and none in the held-out part"):
        choose_entries(KEYS[:1], one, needs=frozenset({"audio"}), **how)
