"""Training and test samples of classes, as most probes read them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from selftaught.data.store.samples import Samples, groups_of
from selftaught.data.store.subset import Subset, balanced_rows
from selftaught.evaluation.data.base import EvaluationData


@dataclass(frozen=True, kw_only=True)
class Labelled(EvaluationData):
    """Samples of classes, which are numbered alike in both parts.

    A probe with `needs = {"label"}` reads `train.labels` and `test.labels`. One with `needs = {"labels"}` reads
    `train_targets` and `test_targets`, which of data with one class each are made of the labels (then `train.labels`
    is there too, else None).

    Attributes:
        train_targets: (N, K) int8 for K classes: 1 where a training sample is of the class, 0 where not, -1 where it
            must be left out for that class ("difficult" in VOC); None unless the probe needs "labels".
        test_targets: the same of the test samples.
        folds: where each sample is tested once, the training and test samples of every fold; the fields above are
            then those of the first.
    """

    train: Samples
    test: Samples
    train_targets: NDArray[np.int8] | None = None
    test_targets: NDArray[np.int8] | None = None
    folds: tuple[Labelled, ...] = ()

    @property
    def test_groups(self) -> NDArray[np.int64] | None:
        """(M,) the group of each test sample, such as a person, where the data name groups."""
        return groups_of(self.test)

    @property
    def fitted_on(self) -> Samples:
        """The training samples."""
        return self.train

    @property
    def parts(self) -> Sequence[Labelled]:
        """The folds, where there are some."""
        return self.folds or (self,)

    @property
    def unused(self) -> list[tuple[str, str]]:
        """Of the whole data where they are folded: both parts of a fold list the same."""
        return [*self.train.skipped] if self.folds else super().unused

    @property
    def identity(self) -> str:
        """Hex digest that changes when the samples, their labels or the classes do."""
        if self.folds:
            return hashlib.sha256("".join(fold.identity for fold in self.folds).encode()).hexdigest()
        parts = [self.train.fingerprint, self.test.fingerprint, repr(self.classes)]
        for values in (self.train.labels, self.test.labels, self.train_targets, self.test_targets):
            if values is not None:
                parts.append(hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest())
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def few(self, fraction: float, *, limit: int | None = None, seed: int = 0) -> Labelled:
        """The same data with a share of the training samples, drawn by `seed`; balanced where each is of one class.

        Where `limit` leaves fewer of them, the share is of those.
        """
        limit = None if self.is_limited else limit
        if self.folds:
            parts = tuple(fold.few(fraction, limit=limit, seed=seed) for fold in self.folds)
            changed = any(part is not fold for part, fold in zip(parts, self.folds, strict=True))
            return replace(parts[0], folds=parts, test_is=self.test_is, notes=self.notes) if changed else self
        train = self.train
        assert isinstance(train, Subset)
        labels = np.zeros(len(train), np.int64) if train.labels is None else train.labels
        rows = balanced_rows(labels, fraction, limit, seed)
        if len(rows) == len(train):
            return self
        targets = None if self.train_targets is None else self.train_targets[rows]
        return replace(self, train=Subset(train.base, train.rows[rows]), train_targets=targets)
