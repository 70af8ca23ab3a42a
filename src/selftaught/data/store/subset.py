"""Some rows of samples, perhaps with other class numbers, read as samples of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from selftaught.core.files import digest
from selftaught.core.randomness import numpy_generator
from selftaught.data.batch import Sampling
from selftaught.data.store.samples import HostBatch, Samples, groups_of, notes_of
from selftaught.data.store.stored_frames import StoredFrames, from_store, stored_of


class Subset:
    """Rows of `base` under new numbers 0 ... len(rows) - 1; see `Samples`.

    `labels` (len(rows),) go before those of `base`.
    """

    base: Samples
    rows: NDArray[np.int64]

    def __init__(self, base: Samples, rows: NDArray[np.int64], labels: NDArray[np.int64] | None = None) -> None:
        self.labels = labels if labels is not None or base.labels is None else base.labels[rows]
        self.classes = base.classes
        if isinstance(base, Subset):  # what is kept for `base` serves all subsets of it
            rows = base.rows[rows]
            base = base.base
        self.base = base
        self.rows = rows
        self.side = base.side
        self.fingerprint = digest([base.fingerprint, hashlib.sha256(rows.tobytes()).hexdigest()])
        self.skipped = base.skipped
        self.notes = notes_of(base)
        self.source_of = base.source_of[rows]
        self.keys: Sequence[str] = [base.keys[i] for i in rows]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def groups(self) -> NDArray[np.int64] | None:
        """(M,) the group of each row, None where no group is known."""
        groups = groups_of(self.base)
        return None if groups is None else groups[self.rows]

    @property
    def stored(self) -> StoredFrames:
        """What `base` reads from."""
        return stored_of(self.base)[0]

    @property
    def item_of(self) -> NDArray[np.int64]:
        """(M,) which item of `stored` each row is."""
        return stored_of(self.base)[1][self.rows]

    def frames_of(self, rows: NDArray[np.int64], draws: NDArray[np.float64], name: str) -> NDArray[np.int64]:
        """As `base` gives them."""
        return from_store(self.base).frames_of(self.rows[rows], draws, name)

    def read(self, rows: NDArray[np.int64], draws: NDArray[np.float64]) -> HostBatch:
        """As `base` reads them, with the index of this subset."""
        return replace(self.base.read(self.rows[rows], draws), index=rows)

    def spread(self, rows: NDArray[np.int64], draws: NDArray[np.float64], sampling: Sampling) -> NDArray[np.float64]:
        """As `base` does."""
        return self.base.spread(self.rows[rows], draws, sampling)

    def eval_draws(self, count: int, clips: int) -> list[NDArray[np.float64]]:
        """As `base` does."""
        return self.base.eval_draws(count, clips)


def balanced_rows(labels: NDArray[np.int64], fraction: float, limit: int | None, seed: int) -> NDArray[np.int64]:
    """Rows of a class-balanced, seeded share of the samples that have a label, or of about `limit` of them.

    At least one of every class.
    """
    rows = np.flatnonzero(labels >= 0)
    share = fraction * min(1.0, 1.0 if limit is None else limit / len(rows))
    if share >= 1:
        return rows
    rng = numpy_generator(seed, "fraction")
    chosen = []
    for label in np.unique(labels[rows]):
        members = rng.permutation(rows[labels[rows] == label])
        chosen.append(members[: max(1, round(share * len(members)))])
    return np.sort(np.concatenate(chosen))
