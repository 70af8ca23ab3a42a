"""Vectors and weights are written in the form that the ending says, and never over a file that is there."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from selftaught.core.files import check_out
from selftaught.core.own_folder import write_json
from selftaught.evaluation.export import resolve_format
from selftaught.evaluation.features_file import FORMS, write_features

KEYS = ["a/1.png", "=1+1.png", os.fsdecode(b"caf\xe9.png")]
LABELS = ["a", None, "@sum"]
VECTORS = np.array([[1.5, -2.25], [0.1, 3e-7], [4.0, 5.0]], np.float32)
SHOWN = ["a/1.png", "=1+1.png", "caf\\xe9.png"]


def test_parquet_and_arrays_hold_the_same(tmp_path: Path) -> None:
    for ending in (".parquet", ".npz", ".npy"):
        write_features(tmp_path / f"f{ending}", KEYS, LABELS, VECTORS)
    table = pq.read_table(tmp_path / "f.parquet").to_pydict()
    assert table["path"] == SHOWN
    assert table["label"] == LABELS
    assert np.array_equal(np.array(table["vector"], np.float32), VECTORS)
    arrays = np.load(tmp_path / "f.npz")
    assert arrays["path"].tolist() == SHOWN
    assert arrays["label"].tolist() == ["a", "", "@sum"]
    assert np.array_equal(arrays["vector"], VECTORS)
    assert np.array_equal(np.load(tmp_path / "f.npy"), VECTORS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.npy", "f.npz", "f.parquet"]


def test_a_csv_file_is_text_that_no_spreadsheet_computes(tmp_path: Path) -> None:
    write_features(tmp_path / "f.csv", KEYS, LABELS, VECTORS)
    with (tmp_path / "f.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["id", "path", "label", "f0", "f1"]
    assert [row[1] for row in rows[1:]] == ["a/1.png", "'=1+1.png", "caf\\xe9.png"]
    assert [row[2] for row in rows[1:]] == ["a", "", "'@sum"]
    assert np.array_equal(np.array([row[3:] for row in rows[1:]], np.float32), VECTORS)


def test_a_file_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "there.csv").write_text("mine")
    for out, told in (
        (tmp_path / "there.csv", "--overwrite"),
        (tmp_path / "f.xlsx", "must end with one of .parquet, .csv, .npy, .npz"),
        (tmp_path, "is a folder"),
        (tmp_path / "there.csv" / "f.csv", "is not a folder"),
    ):
        with pytest.raises(ValueError, match=told):
            check_out(out, FORMS, overwrite=False)
    assert check_out(tmp_path / "there.csv", FORMS, overwrite=True) == tmp_path / "there.csv"
    assert check_out(tmp_path / "new" / "deep" / "F.NPY", FORMS, overwrite=False).name == "F.NPY"


def test_the_format_of_weights_is_what_the_ending_says(tmp_path: Path) -> None:
    assert resolve_format(tmp_path / "a.onnx", None, overwrite=False)[1] == "onnx"
    assert resolve_format(tmp_path / "a.pth", None, overwrite=False)[1] == "torch"
    assert resolve_format(tmp_path / "a.bin", "torch", overwrite=False)[1] == "torch"
    with pytest.raises(ValueError, match=r"ends with \.onnx, which is onnx, but --format is torch"):
        resolve_format(tmp_path / "a.onnx", "torch", overwrite=False)
    with pytest.raises(ValueError, match="does not say the format"):
        resolve_format(tmp_path / "a.bin", None, overwrite=False)


def test_json_that_is_written_is_strict(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"spread": float("nan"), "pairs": [(1, float("inf"))], "name": "x"})
    assert json.loads((tmp_path / "a.json").read_text(), parse_constant=pytest.fail) == {
        "spread": None, "pairs": [[1, None]], "name": "x"
    }  # fmt: skip
