"""Images that are in both the training and the test part: a probe has seen them, so its value is too high."""

from __future__ import annotations

import hashlib

import numpy as np

from selftaught.core.names import one_line
from selftaught.data.store.image_samples import PackedImages
from selftaught.data.store.samples import Samples
from selftaught.data.store.subset import Subset
from selftaught.evaluation.data.labelled import Labelled

MOST = 100_000
"""Samples up to which their pixels are compared; of more, reading them all would take too long."""
_AT_ONCE = 64

Pixels = dict[tuple[int, int], bytes]
"""Digest of the packed pixels by store and row."""


def note_of_duplicates(data: Labelled, name: str) -> str:
    """One sentence that counts the test images whose pixels are those of a training image; "" where there are none.

    Only packed images are compared, by the square in their middle.
    """
    parts = data.folds or (data,)
    known: Pixels = {}
    count, example = 0, ""
    for part in parts:
        train, test = _stored(part.train), _stored(part.test)
        if train is None or test is None or train.side != test.side or len(train) + len(test) > MOST:
            return ""
        seen = dict(zip(_digests(train, known), train.keys, strict=True))
        for digest, key in zip(_digests(test, known), test.keys, strict=True):
            if digest in seen:
                count += 1
                example = example or f"{one_line(key)} is {one_line(seen[digest])}"
    if not count:
        return ""
    total = sum(len(part.test) for part in parts)
    many = f"{count} of {total} test images are also training images (such as {example})"
    return f"{name}: {many}, so the metric is too high"


def _stored(samples: Samples) -> Subset | None:
    return samples if isinstance(samples, Subset) and isinstance(samples.base, PackedImages) else None


def _digests(samples: Subset, known: Pixels) -> list[bytes]:
    store = id(samples.base)
    missing = np.array([row for row in samples.rows.tolist() if (store, row) not in known], np.int64)
    for start in range(0, len(missing), _AT_ONCE):
        rows = missing[start : start + _AT_ONCE]
        images = samples.base.read(rows, np.full((len(rows), 3), 0.5))["image"]
        for row, image in zip(rows.tolist(), images, strict=True):
            known[store, row] = hashlib.blake2b(image, digest_size=16).digest()
    return [known[store, row] for row in samples.rows.tolist()]
