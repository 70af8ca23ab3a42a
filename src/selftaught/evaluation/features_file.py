"""Vectors of samples as a file: Parquet, CSV, or NumPy's own."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from selftaught.core.files import written_whole
from selftaught.core.names import printable, text_cell

FORMS = {".parquet": "parquet", ".csv": "csv", ".npy": "npy", ".npz": "npz"}
"""By the ending of the file."""

Labels = Sequence[str | None]


def write_features(path: Path, keys: Sequence[str], labels: Labels, vectors: NDArray[np.float32]) -> None:
    """Write one row a sample, whole or not at all, in the form of the ending.

    Parquet has the columns id, path, label (where there are labels) and vector; CSV id, path, label and a column for
    each number; .npz the arrays path, label and vector; .npy the vectors (N, D) alone, in the order of the data.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    paths = [printable(key) for key in keys]
    names = None if all(label is None for label in labels) else [label and printable(label) for label in labels]
    write = {"parquet": _parquet, "csv": _csv, "npy": _npy, "npz": _npz}[FORMS[path.suffix.lower()]]
    with written_whole(path) as draft:
        write(draft, paths, names, vectors)


def _parquet(draft: Path, paths: list[str], labels: list[str | None] | None, vectors: NDArray[np.float32]) -> None:
    columns: dict[str, Any] = {"id": pa.array(np.arange(len(paths))), "path": pa.array(paths)}
    if labels is not None:
        columns["label"] = pa.array(labels, pa.string())
    columns["vector"] = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])
    pq.write_table(pa.table(columns), draft)


def _csv(draft: Path, paths: list[str], labels: list[str | None] | None, vectors: NDArray[np.float32]) -> None:
    with draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        told = ["id", "path"] if labels is None else ["id", "path", "label"]
        writer.writerow([*told, *(f"f{number}" for number in range(vectors.shape[1]))])
        for number, (path, vector) in enumerate(zip(paths, vectors, strict=True)):
            label = [] if labels is None else [text_cell(labels[number] or "")]
            writer.writerow([number, text_cell(path), *label, *map(str, vector)])


def _npy(draft: Path, paths: list[str], labels: list[str | None] | None, vectors: NDArray[np.float32]) -> None:
    with draft.open("wb") as file:  # a file, as NumPy adds an ending of its own to a name
        np.save(file, vectors)


def _npz(draft: Path, paths: list[str], labels: list[str | None] | None, vectors: NDArray[np.float32]) -> None:
    arrays: dict[str, Any] = {"path": np.array(paths, dtype=str), "vector": vectors}
    if labels is not None:
        arrays["label"] = np.array([label or "" for label in labels], dtype=str)
    with draft.open("wb") as file:
        np.savez(file, **arrays)
