"""The labels a model is fitted to: which of them are held back in turn, and how much each class counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from selftaught.data.store.samples import Samples, groups_of
from selftaught.data.store.subset import Subset
from selftaught.evaluation.data.base import Asked
from selftaught.evaluation.data.folds import SMALL, dealt
from selftaught.evaluation.data.labelled import Labelled
from selftaught.evaluation.data.open_labelled import EVERY_SPLIT, open_labelled

Weighing = Literal["none", "balanced"]
FOLDS, SHARE = 5, 10
"""Parts of a cross-validation below 2,000 labels; above, one part of so many is held back."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """Labelled samples of one or more classes, N of them.

    Attributes:
        samples: all that a model may learn from.
        held: masks (N,) of the samples that are held back in turn, while a model is fitted to the others; the first
            serves for what takes long.
        test: samples of the data's own test part, which choose nothing; None where the data have none.
        weights: (K,) of the classes, with a mean over samples of 1; None where every sample counts alike.
        notes: on how the data were read.
        skipped: (path, reason) of what could not be used.
    """

    samples: Samples
    classes: tuple[str, ...]
    held: tuple[NDArray[np.bool_], ...]
    test: Samples | None = None
    weights: tuple[float, ...] | None = None
    notes: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,) class numbers."""
        return labels_of(self.samples)

    @property
    def counts(self) -> dict[str, int]:
        """Number of labels by class."""
        return dict(zip(self.classes, np.bincount(self.labels, minlength=len(self.classes)).tolist(), strict=True))

    @property
    def held_is(self) -> str:
        """How samples are held back, in words."""
        count = len(self.labels)
        if len(self.held) > 1:
            return f"{len(self.held)}-fold cross-validation of {count:,} labels"
        return f"{int(self.held[0].sum()):,} of {count:,} labels"

    def sample_weights(self, labels: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """(M,) of samples with these labels (M,); None where all count alike."""
        return None if self.weights is None else np.asarray(self.weights)[labels]


def open_known(asked: Asked, *, class_weights: Weighing = "none") -> Known:
    """All labels of the data but for a test part of their own.

    Raises:
        ValueError: the data have no labels, a single class, or no class of which one sample can be held back.
    """
    if asked.data.split_number == EVERY_SPLIT:
        raise ValueError("--split-number 0 is for evaluate, which tests on every official split; give the one to use")
    part = asked.source("test").part
    data = open_labelled(asked if part else replace(asked, folds=2))
    samples = data.train if part else _whole(data)
    labels = labels_of(samples)
    held = _held(labels, len(data.classes), groups_of(samples))
    known = Known(samples=samples, classes=data.classes, held=held, notes=data.notes, skipped=tuple(data.unused))
    return replace(
        known,
        test=data.test if part else None,
        weights=_balanced(labels, len(data.classes)) if class_weights == "balanced" else None,
    )


def labels_of(samples: Samples) -> NDArray[np.int64]:
    """(N,) class numbers of samples that all have one."""
    assert samples.labels is not None
    return samples.labels


def _whole(data: Labelled) -> Samples:
    """The samples of both parts of data that were divided here."""
    assert isinstance(data.train, Subset)
    assert isinstance(data.test, Subset)
    return Subset(data.train.base, np.sort(np.concatenate([data.train.rows, data.test.rows])))


def _held(
    labels: NDArray[np.int64], num_classes: int, groups: NDArray[np.int64] | None
) -> tuple[NDArray[np.bool_], ...]:
    targets = (labels[:, None] == np.arange(num_classes)).astype(np.int8)
    few = len(labels) < SMALL
    fold = dealt(targets, min(FOLDS if few else SHARE, len(labels)), groups)
    held = [fold == k for k in range(fold.max() + 1)] if few else [fold == 0]
    held = [part for part in held if part.any()]
    if not held:
        raise ValueError(
            f"{len(labels)} labels of {num_classes} classes are too few to hold some back; label at least two samples "
            "of a class"
        )
    return tuple(held)


def _balanced(labels: NDArray[np.int64], num_classes: int) -> tuple[float, ...]:
    """N / (K' n_k) for the K' classes that have samples, 0 for others."""
    counts = np.bincount(labels, minlength=num_classes)
    shown = int((counts > 0).sum())
    return tuple(np.where(counts > 0, len(labels) / (shown * np.maximum(counts, 1)), 0.0).tolist())


def fitted_to(known: Known, rows: Sequence[int] | NDArray[np.int64]) -> Subset:
    """Some of the samples."""
    return Subset(known.samples, np.asarray(rows, np.int64))
