"""Shares of labelled samples, and what they are known by."""

from __future__ import annotations

import dataclasses

import numpy as np

from selftaught.data.store.subset import Subset
from selftaught.evaluation.data.labelled import Labelled
from tests.evaluation.drawn_classes import drawn_data


def drawn(*, train: int, test: int) -> Labelled:
    data = drawn_data(train=train, test=test)
    return dataclasses.replace(data, train=Subset(data.train, np.arange(train)))


def test_a_share_has_as_many_of_every_class_and_its_own_identity() -> None:
    data = drawn(train=240, test=40)
    half, again, other = data.few(0.5), data.few(0.5), data.few(0.5, seed=1)
    assert (data.train_samples, half.train_samples, half.test_samples) == (240, 120, 40)
    assert half.train.keys == again.train.keys != other.train.keys
    counts = np.bincount(np.asarray(half.train.labels))
    assert counts.max() - counts.min() <= 1
    assert len({one.identity for one in (data, half, again, other)}) == 3
    assert data.few(1.0) is data
    assert data.few(1.0, limit=24).train_samples == 24
    assert dataclasses.replace(data, is_limited=True).few(1.0, limit=24).train_samples == 240


def test_folds_are_shared_out_one_by_one() -> None:
    folds = tuple(drawn(train=24 * n, test=12 * n) for n in (1, 2))
    data = dataclasses.replace(folds[0], folds=folds, test_is="two folds")
    assert (data.parts, data.test_samples) == (folds, 36)
    half = data.few(0.5)
    assert [fold.train_samples for fold in half.parts] == [12, 24]
    assert (half.test_is, half.train_samples) == ("two folds", 12)
    assert data.few(1.0) is data
    assert len({data.identity, half.identity, folds[0].identity}) == 3
