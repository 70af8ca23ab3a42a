"""The vectors of a folder most similar to one: all compared, or by an index on disk that is mapped, not loaded.

The index is faiss's inverted file with product quantization (Jégou, Douze & Schmid, TPAMI 2011): each vector is kept as
the nearest of about sqrt(N) centroids and a code of at most 64 bytes for its difference to that. A query looks through
the codes of 32 centroids; the best hundreds are compared again by their vectors. In memory are the centroids and the
lists that queries touch. docs/decisions/0012-index-on-disk.md has the measurements.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selftaught.core.files import written_whole
from selftaught.core.own_folder import record
from selftaught.core.progress import late_bar, say
from selftaught.core.randomness import numpy_generator, seed_from
from selftaught.evaluation.vectors.folder import VectorFolder, alone_in
from selftaught.features.neighbours import EXACT_UP_TO, unit_length

INDEX = "_index.faiss"
PROBED = 32
"""Lists of the index that are looked through for a query."""
AGAIN = 50
"""Times as many vectors as are asked for, and `LEAST` at least, are compared again."""
LEAST = 500
MOST_CODE = 64
"""Bytes of a code at most."""
LEAST_CODE = 4
TRAINING_VECTORS = 40
"""Vectors for each list that its k-means sees, the fewest with which faiss is content."""

Scores = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Vectors (N, D) -> how well each goes with the query (N,), higher is better."""


def best_of(folder: VectorFolder, scores: Scores, count: int) -> list[tuple[int, float]]:
    """Number and score of the `count` best of all vectors, the best first; of equal ones the first."""
    best: list[tuple[float, int]] = []
    for start, vectors in folder.blocks():
        found = scores(vectors)
        chosen = np.argpartition(-found, count - 1)[:count] if count < len(found) else np.arange(len(found))
        best = heapq.nsmallest(count, best + [(-float(found[i]), start + int(i)) for i in chosen])
    return [(number, -score) for score, number in best]


def most_similar(
    folder: VectorFolder, asked: NDArray[np.float32], count: int, *, exact: bool = False
) -> list[tuple[int, float]]:
    """Number and cosine of the `count` vectors most similar to `asked` (1, D), the most similar first.

    All are compared up to 100,000, and where `exact` asks for it; else an index finds candidates, which is built at the
    first query and kept in the folder.
    """
    query = unit_length(asked)[0]

    def cosines(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(unit_length(vectors) @ query)

    if exact or len(folder) <= EXACT_UP_TO:
        return best_of(folder, cosines, count)
    index = open_index(folder)
    _, rows = index.search(query[None], max(LEAST, AGAIN * count))
    numbers = np.sort(rows[0][rows[0] >= 0])
    found = cosines(folder.vectors(numbers))
    order = np.argsort(-found, kind="stable")[:count]
    return [(int(numbers[i]), float(found[i])) for i in order]


def open_index(folder: VectorFolder) -> Any:
    """The index of a folder, mapped; it is built where there is none."""
    import faiss

    path = folder.path / INDEX
    if not path.is_file():
        with alone_in(folder.path):
            if not path.is_file():
                say(f"building an index of {len(folder):,} vectors, once; it is kept in {folder.path}")
                built = build_index(folder)
                with written_whole(record(path)) as draft:
                    faiss.write_index(built, str(draft))
    index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
    if index.ntotal != len(folder) or index.d != folder.facts.features:
        raise ValueError(f"{path} is not the index of the vectors beside it; remove it, and the next search builds one")
    faiss.extract_index_ivf(index).nprobe = PROBED
    return index


def build_index(folder: VectorFolder, seed: int = 0) -> Any:
    """faiss's index over the unit-length vectors of the folder; its codes are in memory while it is built."""
    import faiss

    width, count = folder.facts.features, len(folder)
    lists = max(1, round(math.sqrt(count)))
    coarse = faiss.IndexFlatIP(width)
    bytes_each = code_bytes(width)
    if bytes_each >= LEAST_CODE:
        index: Any = faiss.IndexIVFPQ(coarse, width, lists, bytes_each, 8, faiss.METRIC_INNER_PRODUCT)
    else:  # a width that no number of bytes divides is kept as one byte a number
        index = faiss.IndexIVFScalarQuantizer(
            coarse, width, lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
        )
    index.cp.seed = seed_from("index on disk", seed) % 2**31
    index.cp.max_points_per_centroid = TRAINING_VECTORS
    index.cp.min_points_per_centroid = 1
    index.cp.niter = 10
    index.train(_some(folder, min(count, TRAINING_VECTORS * lists), seed))
    with late_bar("indexing") as progress:
        for start, vectors in folder.blocks():
            index.add(unit_length(vectors))
            progress(start + len(vectors), count)
    return index


def code_bytes(width: int) -> int:
    """Bytes of the code of a vector: the largest divisor of its width up to 64 that leaves each at least 4 numbers."""
    most = min(MOST_CODE, max(1, width // 4))
    return next(number for number in range(most, 0, -1) if width % number == 0)


def _some(folder: VectorFolder, count: int, seed: int) -> NDArray[np.float32]:
    """`count` unit-length vectors drawn from all, in order."""
    rows = np.sort(numpy_generator(seed, "index on disk").permutation(len(folder))[:count])
    parts = []
    for start, vectors in folder.blocks():
        first, last = np.searchsorted(rows, [start, start + len(vectors)])
        parts.append(unit_length(vectors[rows[first:last] - start]))
    return np.concatenate(parts)
