"""Values of a column of labels as numbers of classes."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from selftaught.data.sources.tables.label_values import class_names, cleaned, number_labels, number_lists
from tests.data.sources.opening import LABELLED, opened
from tests.data.sources.rows import write


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


def test_values_of_any_kind_become_numbers_or_texts() -> None:
    given = [True, np.int64(3), 2.0, Decimal("4"), 2.5, float("nan"), b"cat", " dog ", "", None, (1, None, "a"), {1}]
    assert cleaned(given, "x") == [1, 3, 2, 4, "2.5", None, "cat", "dog", None, None, [1, "a"], "{1}"]


def test_numbers_are_classes_by_name_where_the_names_suffice() -> None:
    assert number_labels([2, 0, None, -1], names=("a", "b", "c")) == ([2, 0, None, None], ("a", "b", "c"))
    assert number_labels([2, 0, 9], names=("a", "b")) == ([1, 0, 2], ("0", "2", "9"))
    assert number_labels(["b", "a", None, "b"], names=None) == ([1, 0, None, 1], ("a", "b"))
    assert number_labels(["b"], names=("a", "b", "c")) == ([1], ("a", "b", "c"))
    assert number_labels([None], names=None) == ([None], None)


def test_lists_of_labels_become_rows_of_targets() -> None:
    values = [["a", "b"], [], None, "b"]
    targets, classes = number_lists(values, every=[*values, ["c"]], names=None)
    assert classes == ("a", "b", "c")
    assert targets.tolist() == [[1, 1, 0], [0, 0, 0], [-1, -1, -1], [0, 1, 0]]


@pytest.mark.parametrize("told", ['["a", "a"]', '["a", ["b"]]', "[", "[]"])
def test_names_that_do_not_distinguish_classes_are_not_used(told: str) -> None:
    assert class_names(pa.schema([("label", pa.int64())], metadata={"class_names": told}), "label") is None
    assert class_names(pa.schema([("label", pa.int64())]), "label") is None
