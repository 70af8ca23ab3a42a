"""Parquet: bytes or {bytes, path}, labels as numbers or texts, splits by the names of the files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from selftaught.data.batch import Sampling
from selftaught.data.decode.image import decode_image
from selftaught.data.files.file_tree import Unreadable
from selftaught.data.sources.base import Source
from selftaught.data.sources.open import open_source
from selftaught.data.store import image_pack
from selftaught.data.store.open import open_samples

LABELLED = frozenset({"image", "label"})


def write(path: Path, columns: dict[str, Any], metadata: dict[str, str] | None = None) -> Path:
    table = pa.table(columns)
    pq.write_table(table.replace_schema_metadata(metadata) if metadata else table, path, row_group_size=5)
    return path


def opened(path: Path, split: str = "train", needs: frozenset[str] = frozenset({"image"})) -> Source:
    return open_source(str(path), split=split, needs=needs, held_out=0.25)


def test_cifar10(shared_data: Callable[[str], Path]) -> None:
    train, test = (opened(shared_data("cifar10"), split, LABELLED) for split in ("train", "held_out"))
    assert (len(train), len(test)) == (50_000, 10_000)
    assert train.classes == test.classes
    assert train.classes is not None
    assert train.classes[9] == "truck"
    for i in (0, 4_999, 5_000, 49_999):
        payload = train.read(i)
        assert isinstance(payload, bytes)
        assert decode_image(payload).shape == (32, 32, 3)


def test_streaming_and_single_rows_agree(tmp_path: Path, photos: list[bytes]) -> None:
    path = write(tmp_path / "a.parquet", {"image": photos, "label": [i % 2 for i in range(24)]})
    source = opened(path)
    assert 0 < len(source) < 24
    in_order = list(source.iterate())
    assert [i for i, _ in in_order] == list(range(len(source)))
    assert [payload for _, payload in in_order] == [source.read(i) for i in range(len(source))]
    assert [payload for _, payload in in_order] == [photos[int(e.key.split(":")[1])] for e in source.entries]


def test_images_as_bytes_and_path(tmp_path: Path, photos: list[bytes]) -> None:
    (tmp_path / "there.jpg").write_bytes(photos[1])
    cells = [
        {"bytes": photos[0], "path": "x.jpg"},
        {"bytes": None, "path": "../there.jpg"},
        {"bytes": None, "path": None},
        {"bytes": None, "path": "gone.jpg"},
    ]
    (tmp_path / "rows").mkdir()
    write(tmp_path / "rows" / "train.parquet", {"img": cells})
    write(tmp_path / "rows" / "test.parquet", {"img": cells[:1]})
    source = opened(tmp_path / "rows")
    assert [source.read(0), source.read(1)] == photos[:2]
    with pytest.raises(Unreadable, match="no picture"):
        source.read(2)
    with pytest.raises(FileNotFoundError):
        source.read(3)
    assert [type(payload) for _, payload in source.iterate()] == [bytes, bytes, Unreadable, FileNotFoundError]


def test_labels_as_texts_are_numbered_over_all_splits(tmp_path: Path, photos: list[bytes]) -> None:
    write(tmp_path / "train-00000-of-00001.parquet", {"image": photos[:3], "label": ["dog", "cat", None]})
    write(tmp_path / "validation-00000-of-00001.parquet", {"image": photos[:2], "label": ["ant", "dog"]})
    train, val = opened(tmp_path, needs=LABELLED), opened(tmp_path, "held_out", LABELLED)
    assert train.classes == val.classes == ("ant", "cat", "dog")
    assert [e.label for e in train.entries] == [2, 1, None]
    assert [e.label for e in val.entries] == [0, 2]


@pytest.mark.parametrize(
    "metadata",
    [
        {"class_names": "cat, dog"},
        {"class_names": '["cat", "dog"]'},
        {
            "huggingface": json.dumps(
                {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
            )
        },
    ],
)
def test_class_names_of_the_metadata(tmp_path: Path, photos: list[bytes], metadata: dict[str, str]) -> None:
    write(tmp_path / "a.parquet", {"image": photos[:4], "label": [1, 0, -1, 1]}, metadata)
    assert opened(tmp_path / "a.parquet").classes == ("cat", "dog")


def test_errors_are_one_sentence(tmp_path: Path, photos: list[bytes]) -> None:
    with pytest.raises(ValueError, match=r"no column 'image' .*only name, size"):
        opened(write(tmp_path / "a.parquet", {"name": ["a"], "size": [1]}))
    (tmp_path / "b.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(ValueError, match="not whole Parquet"):
        opened(tmp_path / "b.parquet")
    with pytest.raises(ValueError, match="labels are needed"):
        opened(write(tmp_path / "c.parquet", {"image": photos}), needs=LABELLED)


def test_nan_is_no_label_and_whole_floats_are_numbers(tmp_path: Path, photos: list[bytes]) -> None:
    labels = [0.0, 1.0, float("nan"), None, 1.0, float("inf")]
    source = opened(write(tmp_path / "train.parquet", {"image": photos[:6], "label": labels}), needs=LABELLED)
    other = opened(tmp_path / "train.parquet", "held_out", LABELLED)
    found = {e.key: e.label for e in (*source.entries, *other.entries)}
    assert found == {f"train.parquet:{i}": label for i, label in enumerate([0, 1, None, None, 1, None])}
    assert source.classes == ("0", "1")


def test_large_numbers_are_no_count_of_classes(tmp_path: Path, photos: list[bytes]) -> None:
    labels = [20240101, 1 << 62, 20240101, 7]
    source = opened(write(tmp_path / "a.parquet", {"image": photos[:4], "label": labels}))
    assert source.classes == ("7", "20240101", str(1 << 62))


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ([{"id": 1, "name": "cat"}] * 4, r"column label of .*a\.parquet holds structures of id, name; give each row"),
        ([[[1]], [[2]], [[1]], [[2]]], "holds lists of lists"),
        (["x" * 5000] * 4, "holds texts of up to 5000 characters"),
    ],
)
def test_what_is_no_label_is_one_sentence_only_where_labels_are_needed(
    tmp_path: Path, photos: list[bytes], labels: list[Any], sentence: str
) -> None:
    path = write(tmp_path / "a.parquet", {"image": photos[:4], "label": labels})
    with pytest.raises(ValueError, match=sentence) as refused:
        opened(path, needs=LABELLED)
    assert "\n" not in str(refused.value)
    source = opened(path)
    assert len(source.notes) == 1
    assert source.classes is None


def test_a_column_of_splits_goes_before_names(tmp_path: Path, photos: list[bytes]) -> None:
    splits = ["train"] * 5 + ["test"] * 3 + [None]
    path = write(tmp_path / "train.parquet", {"image": photos[:9], "label": [0, 1] * 4 + [0], "split": splits})
    train, test = opened(path, needs=LABELLED), opened(path, "held_out", LABELLED)
    assert [e.key for e in train.entries] == [f"train.parquet:{i}" for i in range(5)]
    assert [e.key for e in test.entries] == [f"train.parquet:{i}" for i in range(5, 8)]
    assert test.part == "test"
    odd = opened(write(tmp_path / "odd.parquet", {"image": photos[:4], "split": ["a", "b", "a", "b"]}))
    assert "names no train part" in odd.notes[0]


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("train/0000.parquet", "val/0000.parquet"),
        ("data/train-00000-of-00002.parquet", "data/validation-00000-of-00001.parquet"),
        ("data/train/0.parquet", "data/test/0.parquet"),
        ("cats_training.parquet", "cats_test.parquet"),
    ],
)
def test_splits_of_folders_and_file_names(tmp_path: Path, photos: list[bytes], train: str, val: str) -> None:
    for name, chosen in ((train, photos[:8]), (val, photos[8:12])):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write(tmp_path / name, {"image": chosen, "label": [0, 1] * (len(chosen) // 2)})
    first, second = opened(tmp_path, needs=LABELLED), opened(tmp_path, "held_out", LABELLED)
    assert (len(first), len(second)) == (8, 4)
    assert len({e.key for e in (*first.entries, *second.entries)}) == 12
    assert [second.read(i) for i in range(4)] == photos[8:12]


def test_labels_that_are_needed_say_which_column_might_hold_them(tmp_path: Path, photos: list[bytes]) -> None:
    path = write(tmp_path / "a.parquet", {"image": photos[:4], "species": ["a", "b", "a", "b"]})
    with pytest.raises(ValueError, match=r"rename the column of labels \(of species\) to label$"):
        opened(path, needs=LABELLED)


def test_a_damaged_file_among_good_ones_is_left_out_and_named(tmp_path: Path, photos: list[bytes]) -> None:
    for i in range(4):
        write(tmp_path / f"train-{i}.parquet", {"image": photos[4 * i : 4 * i + 4], "label": [0, 1, 0, 1]})
    damaged = tmp_path / "train-3.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-20])
    write(tmp_path / "train-4.parquet", {"name": ["a"]})
    source = opened(tmp_path, needs=LABELLED)
    other = opened(tmp_path, "held_out", LABELLED)
    assert len(source) + len(other) == 12
    assert [key for key, _ in source.skipped] == ["train-3.parquet", "train-4.parquet"]
    assert source.skipped[0][1].startswith("not whole Parquet")
    assert source.notes == other.notes
    assert "2 of 5 Parquet files" in source.notes[0]
    for i in range(3):
        (tmp_path / f"train-{i}.parquet").unlink()
    with pytest.raises(ValueError, match=r"train-3\.parquet: not whole Parquet"):
        opened(tmp_path)


def test_files_that_differ(tmp_path: Path, photos: list[bytes]) -> None:
    write(tmp_path / "a.parquet", {"image": photos[:4], "label": [0, 1, 0, 1]})
    write(tmp_path / "b.parquet", {"img": photos[4:8]})
    source, other = (opened(tmp_path, split, LABELLED) for split in ("train", "held_out"))
    found = {e.key: e.label for e in (*source.entries, *other.entries)}
    assert len(found) == 8
    assert [found[f"b.parquet:{i}"] for i in range(4)] == [None] * 4
    assert source.notes == ["1 of 2 files have no labels, such as b.parquet"]
    write(tmp_path / "c.parquet", {"image": photos[:4], "label": ["x", "y", "x", "y"]})
    with pytest.raises(ValueError, match=r"numbers in a\.parquet but texts in c\.parquet"):
        opened(tmp_path, needs=LABELLED)
    names = {"class_names": "cat, dog"}, {"class_names": "dog, cat"}
    write(tmp_path / "a.parquet", {"image": photos[:4], "label": [0, 1, 0, 1]}, names[0])
    write(tmp_path / "c.parquet", {"image": photos[:4], "label": [0, 1, 0, 1]}, names[1])
    with pytest.raises(ValueError, match=r"c\.parquet of .* numbers its classes otherwise than a\.parquet"):
        opened(tmp_path, needs=LABELLED)


@pytest.mark.parametrize(
    ("column", "sentence"),
    [
        ({"image": ["https://a/b.jpg"]}, "its column image holds texts, such as URLs"),
        ({"image": [[b"a", b"b"]]}, r"its column image is of type list<"),
        ({"image": [[[1, 2], [3, 4]]]}, r"its column image is of type list<"),
        ({"photo": [b"a"]}, "rename the column photo to image"),
    ],
)
def test_other_columns_of_pictures_are_one_helpful_sentence(
    tmp_path: Path, column: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence) as refused:
        opened(write(tmp_path / "a.parquet", column))
    assert "\n" not in str(refused.value)


def test_large_pictures_wait_in_small_numbers_and_give_the_same_store(
    tmp_path: Path, photos: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = opened(write(tmp_path / "a.parquet", {"image": photos}))
    stores = []
    for name, job, held in (("whole", image_pack._JOB_BYTES, image_pack._HELD_BYTES), ("small", 1, 1)):
        monkeypatch.setattr(image_pack, "_JOB_BYTES", job)
        monkeypatch.setattr(image_pack, "_HELD_BYTES", held)
        monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path / name))
        samples = open_samples(source, side=40, sampling=Sampling(), cache_limit_gb=1.0, workers=2)
        stores.append([file.read_bytes() for file in sorted((tmp_path / name).rglob("pixels.bin"))])
        assert len(samples) == len(source)
    assert len(stores[0]) == 1
    assert stores[0] == stores[1]
