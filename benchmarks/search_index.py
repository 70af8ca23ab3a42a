"""Search among many vectors: index on disk against all cosines, and against LanceDB's file format.

    python benchmarks/search_index.py --count 10_000_000 --width 128

Vectors are drawn around 10,000 centres in blocks and written as a folder of `embed` into a temporary folder (in
--scratch, or where the system has them). The result is printed as JSON. Machine: one core, one thread. Expected: see
docs/decisions/0012-index-on-disk.md. `--lance` needs pylance, which is no dependency.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selftaught.evaluation.vectors import nearest
from selftaught.evaluation.vectors.folder import Facts, Part, VectorFolder, file_name, write_part
from selftaught.evaluation.vectors.nearest import INDEX, most_similar, open_index
from selftaught.evaluation.vectors.write import begin

BLOCK = 250_000
CENTRES = 10_000
QUERIES = 50
TOP = 10


def drawn(count: int, width: int, block: int) -> NDArray[np.float32]:
    """Vectors around centres that are the same for all blocks, of unequal spread in each direction."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((CENTRES, width), np.float32)
    spread = np.float32(0.7) * rng.random(width, np.float32)
    rng = np.random.default_rng([1, block])
    noise = rng.standard_normal((count, width), np.float32)
    noise *= spread
    noise += centres[rng.integers(CENTRES, size=count)]
    return noise


def write(folder: Path, count: int, width: int) -> None:
    shards = -(-count // BLOCK)
    facts = Facts(
        run="drawn", encoder="none", part="encoder", weights="", data="drawn", content="", value_range="auto",
        split="all", shard_size=BLOCK, shards=shards, features=width,
    )  # fmt: skip
    begin(folder, facts)
    for shard in range(shards):
        number = min(BLOCK, count - shard * BLOCK)
        keys = [f"{shard * BLOCK + row}.jpg" for row in range(number)]
        vectors = drawn(number, width, shard)
        write_part(folder / file_name(shard), Part(keys=keys, labels=[None] * number, vectors=vectors))


def exact(folder: VectorFolder, queries: NDArray[np.float32]) -> NDArray[np.int64]:
    """Numbers (Q, TOP) by all cosines, one pass over the vectors for all queries."""
    unit = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    best = np.full((len(queries), 0), 0, np.int64)
    values = np.empty((len(queries), 0), np.float32)
    for start, vectors in folder.blocks():
        scores = unit @ (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).T
        rows = np.argpartition(-scores, TOP, axis=1)[:, :TOP]
        values = np.concatenate([values, np.take_along_axis(scores, rows, 1)], 1)
        best = np.concatenate([best, rows + start], 1)
        order = np.argsort(-values, axis=1)[:, :TOP]
        values, best = np.take_along_axis(values, order, 1), np.take_along_axis(best, order, 1)
    return best


def recall(found: list[list[int]], truth: NDArray[np.int64]) -> float:
    return float(np.mean([len({*a} & {*b.tolist()}) / TOP for a, b in zip(found, truth, strict=True)]))


def with_faiss(folder: VectorFolder, queries: NDArray[np.float32], truth: NDArray[np.int64]) -> dict[str, Any]:
    begin, cpu = time.perf_counter(), time.process_time()
    open_index(folder)
    built = {"build_seconds": time.process_time() - cpu, "build_wall": time.perf_counter() - begin}
    built["bytes"] = (folder.path / INDEX).stat().st_size
    usual, by_candidates = nearest.AGAIN, {}
    for again in sorted({10, 20, 50, usual}):
        nearest.AGAIN = again
        cpu = time.process_time()
        found = [[number for number, _ in most_similar(folder, query[None], TOP)] for query in queries]
        seconds = (time.process_time() - cpu) / len(queries)
        by_candidates[again] = {"query_seconds": seconds, "recall": recall(found, truth)}
    nearest.AGAIN = usual
    return built | by_candidates[usual] | {"by_candidates": {TOP * n: one for n, one in by_candidates.items()}}


def with_lance(folder: VectorFolder, queries: NDArray[np.float32], truth: NDArray[np.int64]) -> dict[str, Any]:
    import lance
    import pyarrow as pa

    width, place = folder.facts.features, folder.path.with_name(f"{folder.path.name}.lance")
    lists = round(len(folder) ** 0.5)

    def batches() -> Any:
        for start, vectors in folder.blocks():
            unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
            flat = pa.FixedSizeListArray.from_arrays(pa.array(unit.reshape(-1)), width)
            yield pa.record_batch({"id": pa.array(np.arange(start, start + len(unit))), "vector": flat})

    schema = pa.schema({"id": pa.int64(), "vector": pa.list_(pa.float32(), width)})
    cpu = time.process_time()
    data = lance.write_dataset(batches(), place, schema=schema, mode="overwrite")
    data.create_index("vector", "IVF_PQ", metric="dot", num_partitions=lists, num_sub_vectors=width // 4)
    built = {"build_seconds": time.process_time() - cpu}
    cpu = time.process_time()
    found = []
    for query in queries:
        asked = {"column": "vector", "q": query, "k": TOP, "nprobes": 32, "refine_factor": 20}
        found.append(data.to_table(columns=["id"], nearest=asked)["id"].to_pylist())
    built["query_seconds"] = (time.process_time() - cpu) / len(queries)
    size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    shutil.rmtree(place)
    return built | {"recall": recall(found, truth), "bytes_with_vectors": size}


def memory_of_a_search(folder: Path) -> dict[str, float]:
    """Resident megabytes around a first query, `own` without those shared with the page cache, and its seconds."""
    code = (
        "import sys, time, resource, numpy as np, faiss\n"
        "from pathlib import Path\n"
        "from selftaught.evaluation.vectors.folder import VectorFolder\n"
        "from selftaught.evaluation.vectors.nearest import most_similar\n"
        "def memory():\n"
        "    pages = [int(word) for word in Path('/proc/self/statm').read_text().split()[1:3]]\n"
        "    return pages[0] * 4096 / 1e6, (pages[0] - pages[1]) * 4096 / 1e6\n"
        "before = memory()\n"
        "folder = VectorFolder(Path(sys.argv[1]))\n"
        "rng = np.random.default_rng(5)\n"
        "begin = time.perf_counter()\n"
        "most_similar(folder, rng.standard_normal((1, folder.facts.features), np.float32), 10)\n"
        "first = time.perf_counter() - begin\n"
        "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3\n"
        "print(*before, *memory(), peak, first)\n"
    )
    text = subprocess.run([sys.executable, "-c", code, str(folder)], check=True, capture_output=True, text=True).stdout
    names = ("before_mb", "own_before_mb", "after_mb", "own_after_mb", "peak_mb", "first_query_seconds")
    return dict(zip(names, map(float, text.split()), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000_000)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--scratch", type=Path, help="folder with room for the vectors, 5 GB for 10 million of 128")
    parser.add_argument("--lance", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.scratch) as scratch:
        print(json.dumps(measured(Path(scratch) / "vectors", asked.count, asked.width, lance=asked.lance), indent=2))


def measured(path: Path, count: int, width: int, *, lance: bool) -> dict[str, Any]:
    """Figures of a new folder of vectors at `path`; `lance` adds those of LanceDB's file format."""
    result: dict[str, Any] = {"count": count, "width": width}
    cpu = time.process_time()
    write(path, count, width)
    result["write_seconds"] = time.process_time() - cpu
    result["vector_bytes"] = sum(file.stat().st_size for file in path.glob("*.parquet"))
    folder = VectorFolder(path)
    queries = drawn(QUERIES, width, 10**6)
    cpu = time.process_time()
    truth = exact(folder, queries)
    result["exact_pass_seconds"] = time.process_time() - cpu
    result["faiss"] = with_faiss(folder, queries, truth)
    result["faiss"]["peak_mb_of_building"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    result["search"] = memory_of_a_search(path)
    if lance:
        result["lance"] = with_lance(folder, queries, truth)
    return result


if __name__ == "__main__":
    main()
