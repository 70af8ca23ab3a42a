"""A folder of vectors: a Parquet file for each shard of the data, and what they were computed from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock
from numpy.typing import NDArray

from selftaught.core.files import read_object, written_whole
from selftaught.core.names import printable
from selftaught.core.own_folder import is_own

FACTS = "_features.json"
"""Readers of a folder of Parquet files leave out what begins with _ or a dot."""
ROWS = 256
"""Rows of a row group, which are read together: few, as single vectors are looked up after a search by an index."""
BLOCK = 65_536
"""Rows that are in memory at once where all are gone through."""
SKIPPED = b"skipped"
"""Of the metadata of a Parquet file: [path, reason] of what could not be read."""
_SAME = {
    "weights": "other weights",
    "content": "other data, or data that have changed",
    "split": "another --split",
    "shard_size": "another --shard-size",
    "features": "another encoder",
}
"""Fields by which vectors are the same, and what differs."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the vectors of a folder were computed from.

    Attributes:
        weights: hex digest of the encoder and of how it sees samples.
        content: hex digest that changes when the data, or how they are read, do.
        value_range: black and white of deep images, LOW,HIGH, or auto.
        shard_size: samples of a file; 0 where each is of one tar.
        shards: number of files.
        features: numbers of a vector.
    """

    run: str
    encoder: str
    part: str
    weights: str
    data: str
    content: str
    value_range: str
    split: str
    shard_size: int
    shards: int
    features: int

    def differs(self, other: Facts) -> str:
        """In which way the vectors of another folder are not the same; "" where they are."""
        ways = [said for name, said in _SAME.items() if getattr(self, name) != getattr(other, name)]
        return ways[0] if ways else ""


@dataclass(frozen=True, kw_only=True)
class Part:
    """Some samples: paths, labels and vectors (N, D) float32, and (path, reason) of what could not be read."""

    keys: Sequence[str]
    labels: Sequence[str | None]
    vectors: NDArray[np.float32]
    skipped: Sequence[tuple[str, str]] = ()


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Others who want to write to the folder wait; the lock goes with the process, and its file with the lock."""
    path = folder.with_name(f".{folder.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def is_vector_folder(path: Path) -> bool:
    """Whether `embed` wrote this folder."""
    return (path / FACTS).is_file() and is_own(path)


def read_facts(path: Path) -> Facts:
    """What the vectors of a folder were computed from.

    Raises:
        ValueError: where the file does not say so.
    """
    found = read_object(path / FACTS)
    types = {"shard_size": int, "shards": int, "features": int}
    names = [field.name for field in fields(Facts)]
    if any(not isinstance(found.get(name), types.get(name, str)) for name in names):
        raise ValueError(f"{path / FACTS} lacks what embed writes; embed the data again with --overwrite")
    return Facts(**{name: found[name] for name in names})


def write_facts(path: Path, facts: Facts) -> None:
    """The folder is marked and lists its files before."""
    with written_whole(path / FACTS) as draft:
        draft.write_text(json.dumps(asdict(facts), indent=2) + "\n")


def file_name(shard: int) -> str:
    """Of the vectors of a shard."""
    return f"vectors-{shard:05d}.parquet"


def write_part(path: Path, part: Part) -> None:
    """Write a Parquet file with the columns path, label and vector, whole or not at all."""
    labels = [label and printable(label) for label in part.labels]
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(part.vectors.reshape(-1)), part.vectors.shape[1])
    table = pa.table(
        {
            "path": pa.array([printable(key) for key in part.keys], pa.string()),
            "label": pa.array(labels, pa.string()),
            "vector": vectors,
        }
    )
    skipped = [[printable(key), why] for key, why in part.skipped]
    table = table.replace_schema_metadata({SKIPPED: json.dumps(skipped).encode()})
    with written_whole(path) as draft:
        pq.write_table(table, draft, row_group_size=ROWS)


class VectorFolder:
    """The vectors of a folder by number, from 0 in the order of the shards.

    Raises:
        ValueError: where shards are missing.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.facts = path, read_facts(path)
        self.files = [path / file_name(shard) for shard in range(self.facts.shards)]
        if missing := sum(not file.is_file() for file in self.files):
            raise ValueError(
                f"{path} lacks {missing} of {len(self.files)} files of vectors; the embed command that began it goes "
                "on with those"
            )

    @cached_property
    def _metadata(self) -> list[pq.FileMetaData]:
        return [pq.read_metadata(file) for file in self.files]

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """(shards + 1,) the number of the first vector of each file, and of all."""
        return np.cumsum([0, *(found.num_rows for found in self._metadata)], dtype=np.int64)

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """(path, reason) of what could not be read."""
        kept = ((found.metadata or {}).get(SKIPPED, b"[]") for found in self._metadata)
        return [(str(key), str(why)) for found in kept for key, why in json.loads(found)]

    def blocks(self, rows: int = BLOCK) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """(number of the first, vectors (N, D)) of all in order, at most `rows` at once."""
        for file, start in zip(self.files, self.starts.tolist(), strict=False):
            done = start
            for batch in pq.ParquetFile(file).iter_batches(rows, columns=["vector"]):
                vectors = _matrix(batch.column(0), self.facts.features)
                yield done, vectors
                done += len(vectors)

    def take(self, numbers: NDArray[np.int64]) -> Part:
        """Paths, labels and vectors of some numbers, in their order; only the row groups with one of them are read."""
        keys, labels = [""] * len(numbers), [None] * len(numbers)  # type: list[str], list[str | None]
        for places, rows, table in self._groups(numbers, ["path", "label"]):
            for place, row in zip(places.tolist(), rows.tolist(), strict=True):
                keys[place], labels[place] = table["path"][row].as_py(), table["label"][row].as_py()
        return Part(keys=keys, labels=labels, vectors=self.vectors(numbers))

    def vectors(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors (M, D) of some numbers, in their order."""
        found = np.empty((len(numbers), self.facts.features), np.float32)
        for places, rows, table in self._groups(numbers, ["vector"]):
            found[places] = _matrix(table["vector"].combine_chunks(), self.facts.features)[rows]
        return found

    def _groups(
        self, numbers: NDArray[np.int64], columns: list[str]
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], pa.Table]]:
        """Each row group with some of the numbers: their places among these, their rows in it, and its table."""
        shards = np.searchsorted(self.starts, numbers, side="right") - 1
        for shard in np.unique(shards):
            file = pq.ParquetFile(self.files[shard], metadata=self._metadata[shard])
            within = numbers - self.starts[shard]
            for group in np.unique(within[shards == shard] // ROWS):
                places = np.flatnonzero((shards == shard) & (within // ROWS == group))
                yield places, within[places] % ROWS, file.read_row_group(int(group), columns=columns)


def _matrix(column: pa.Array, features: int) -> NDArray[np.float32]:
    flat: NDArray[np.float32] = column.flatten().to_numpy()
    return flat.reshape(-1, features)
