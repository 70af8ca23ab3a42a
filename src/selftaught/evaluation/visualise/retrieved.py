"""What was retrieved for some queries, as lists and images of a page."""

from __future__ import annotations

from typing import Any

from selftaught.core.randomness import numpy_generator
from selftaught.data.store.samples import Samples
from selftaught.evaluation.metrics.retrieval_metrics import Found, Search
from selftaught.evaluation.visualise.thumbnails import picture_files


def retrieved(
    search: Search,
    found: Found,
    test: Samples,
    samples: Samples,
    classes: tuple[str, ...],
    *,
    name: str,
    shown: int,
    seed: int,
) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
    """Some queries, the same for every encoder, with what was found for them, and the files of their images.

    Args:
        search: who asks for what, rows of `test` among those of `samples`.
        found: what each query gets.
        name: of the searched samples, "test" or "train".
        shown: how many queries.
    """
    places = numpy_generator(seed, "gallery").permutation(len(search.queries))[:shown]
    queries, nearest = search.queries[places], found.rows[places]
    asked = picture_files(test, queries, "test")
    files = picture_files(samples, nearest[nearest >= 0], name)
    listed = [
        {
            "query": test.keys[query],
            "label": classes[search.query_labels[query]],
            "picture": asked[int(query)][0] if asked else None,
            "nearest": [
                {
                    "key": samples.keys[row],
                    "label": classes[search.sample_labels[row]],
                    "similarity": round(float(cosine), 4),
                    "right": bool(search.sample_labels[row] == search.query_labels[query]),
                    "picture": files[int(row)][0] if files else None,
                }
                for row, cosine in zip(rows, cosines, strict=True)
                if row >= 0
            ],
        }
        for query, rows, cosines in zip(queries, nearest, found.cosines[places], strict=True)
    ]
    return listed, dict([*asked.values(), *files.values()])
