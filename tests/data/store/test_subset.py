"""Some rows of samples as samples of their own."""

from __future__ import annotations

import numpy as np

from selftaught.data.store.samples import Samples
from selftaught.data.store.subset import Subset, balanced_rows


def test_subset_renumbers_rows_and_keeps_what_belongs_to_them(samples: Samples) -> None:
    rows = np.array([7, 3, 5])
    subset = Subset(samples, rows)
    assert subset.keys == [samples.keys[i] for i in rows]
    assert samples.labels is not None
    assert subset.labels is not None
    assert subset.labels.tolist() == samples.labels[rows].tolist()
    draws = np.full((2, 3), 0.5)
    got, expected = subset.read(np.array([2, 0]), draws), samples.read(np.array([5, 7]), draws)
    assert got.index.tolist() == [2, 0]
    assert np.array_equal(got["image"], expected["image"])


def test_a_subset_of_a_subset_reads_the_base(samples: Samples) -> None:
    inner = Subset(Subset(samples, np.array([7, 3, 5])), np.array([2, 0]), np.array([4, 6]))
    assert inner.base is samples
    assert inner.rows.tolist() == [5, 7]
    assert inner.labels is not None
    assert inner.labels.tolist() == [4, 6]
    assert inner.source_of.tolist() == samples.source_of[[5, 7]].tolist()
    assert (
        inner.fingerprint
        == Subset(samples, np.array([5, 7])).fingerprint
        != Subset(samples, np.array([7, 5])).fingerprint
    )


def test_a_share_is_balanced_and_seeded() -> None:
    labels = np.array([0] * 40 + [1] * 20 + [2] + [-1] * 5)
    rows = balanced_rows(labels, 0.25, None, seed=0)
    assert np.bincount(labels[rows]).tolist() == [10, 5, 1]
    assert rows.tolist() == sorted(set(rows.tolist())) == balanced_rows(labels, 0.25, None, seed=0).tolist()
    assert rows.tolist() != balanced_rows(labels, 0.25, None, seed=1).tolist()
    assert balanced_rows(labels, 1.0, None, seed=0).tolist() == list(range(61))
    limited = balanced_rows(labels, 0.5, 30, seed=0)  # half of about 30 of 61
    assert np.bincount(labels[limited]).tolist() == [10, 5, 1]
