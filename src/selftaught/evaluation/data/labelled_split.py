"""Labelled data without a test part of their own: which samples are tested, and which of the rest are packed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from selftaught.core.progress import say_once
from selftaught.data.sources.base import Source
from selftaught.data.store.parts import OpenPart, SomeEntries
from selftaught.data.store.samples import NothingReadable, Samples, groups_of
from selftaught.data.store.subset import Subset, balanced_rows
from selftaught.evaluation.data.folds import FOLDED_BELOW, FOLDS, held_for_test, parts_of, usual_share, with_folds
from selftaught.evaluation.data.labelled import Labelled
from selftaught.evaluation.fit.targets import Targets

UNLABELLED = "{} has no labels; a probe needs sub-folders per class, a label column or labels.csv"


def open_drawn(
    source: Source,
    open_part: OpenPart,
    labelled: str,
    *,
    test_share: float | None,
    folds: int | None,
    limit: int | None,
    seed: int,
) -> Labelled:
    """All samples split by class, or with `limit` and one test part that part and about so many of the others.

    Args:
        labelled: the name of the data, for messages.
        test_share: of each class; None for what is usual.
        folds: parts of a cross-validation, 1 for none; None for what is usual.
        limit: training samples that are packed, at least one of each class.
        seed: of the training samples that are chosen.
    """
    known, classes, targets = _targets(source, np.arange(len(source)), labelled)
    _check_classes(targets, labelled)
    folds = _folds(len(known), test_share, folds)
    if limit is None or folds > 1:
        return _split(source, open_part(source), labelled, test_share, folds)
    groups = None if source.groups is None else source.groups[known]
    held = held_for_test(targets, test_share or usual_share(len(known)), groups)
    train = known[~held]
    chosen = balanced_rows(_strata(source, train), 1.0, limit, seed)
    if len(chosen) == len(train):
        return _split(source, open_part(source), labelled, test_share, folds)
    rows = np.sort(np.concatenate([known[held], chosen]))
    some = SomeEntries(source, rows)
    opened = open_part(some)
    is_held = np.isin(rows[opened.source_of], known[held])
    data = parts_of(opened, _targets(some, opened.source_of, labelled)[2], is_held, classes)
    words = _told(len(data.test), len(known), groups)
    return replace(data, test_is=words, notes=_lonely(targets, labelled), is_limited=True)


def _lonely(targets: Targets, labelled: str) -> tuple[str, ...]:
    """What is to be said of classes with a single sample."""
    lonely = int(((targets == 1).sum(0) == 1).sum())
    if not lonely:
        return ()
    note = f"{labelled}: {lonely} of {targets.shape[1]} classes have a single sample, which is never tested"
    say_once(note)
    return (note,)


def _split(source: Source, whole: Samples, labelled: str, test_share: float | None, folds: int) -> Labelled:
    found, classes, targets = _targets(source, whole.source_of, labelled)
    count, whole = len(found), Subset(whole, np.flatnonzero(np.isin(whole.source_of, found)))
    _check_classes(targets, labelled)
    groups = groups_of(whole)
    if folds > 1:
        data = with_folds(whole, targets, min(folds, count), classes)
    else:
        held = held_for_test(targets, test_share or usual_share(count), groups)
        data = parts_of(whole, targets, held, classes)
    words = f"{len(data.folds)}-fold cross-validation of {count} labelled samples"
    words += f" in {len(np.unique(groups))} groups" if groups is not None else ""
    words = words if data.folds else _told(len(data.test), count, groups)
    return replace(data, test_is=words, notes=_lonely(targets, labelled))


def _check_classes(targets: Targets, labelled: str) -> None:
    shown = int((targets == 1).any(0).sum())
    if shown < 2:
        raise ValueError(f"{labelled}: a probe needs two classes with samples, got {shown}")


def _told(test: int, count: int, groups: NDArray[np.int64] | None) -> str:
    drawn = "the same share of each class" if groups is None else "whole groups"
    return f"{test} of {count} samples, {drawn}, drawn once"


def _folds(count: int, test_share: float | None, folds: int | None) -> int:
    if folds is None:
        return FOLDS if count < FOLDED_BELOW and test_share is None else 1
    if folds > count:
        raise ValueError(f"--folds must be at most the {count} labelled samples, got {folds}")
    return folds


def _targets(
    source: Source, rows: NDArray[np.int64], labelled: str
) -> tuple[NDArray[np.int64], tuple[str, ...], Targets]:
    """Of the entries `rows` (M,), those that have labels (N,), the classes, and their targets (N, K)."""
    classes = source.classes or ()
    if source.targets is not None:
        known = rows[(source.targets[rows] >= 0).any(1)]
        return known, classes, source.targets[known]
    labels = _labels(source)[rows]
    if not classes or not (labels >= 0).any():
        raise ValueError(UNLABELLED.format(labelled))
    known = rows[labels >= 0]
    return known, classes, (labels[labels >= 0][:, None] == np.arange(len(classes))).astype(np.int8)


def open_limited(source: Source, open_part: OpenPart, limit: int, *, seed: int) -> Source:
    """The training part with about `limit` of its labelled entries, at least one of each class; itself if that is all.

    Chosen without reading more than are needed: `open_part` is asked for more only where some cannot be read.
    """
    known = np.flatnonzero((source.targets >= 0).any(1) if source.targets is not None else _labels(source) >= 0)
    taken = limit
    while taken < len(known):
        chosen = balanced_rows(_strata(source, known), 1.0, taken, seed)
        if len(chosen) == len(known):
            break
        some = SomeEntries(source, chosen)
        try:
            readable = len(open_part(some))
        except NothingReadable:
            readable = 0
        if readable >= min(limit, len(chosen)):
            return some
        taken += 2 * (limit - readable) + 2
    return source


def _strata(source: Source, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """(M,) the class of the entries `rows`, -1 of all others; one class where a sample may be of several."""
    labels = np.full(len(source), -1, np.int64)
    labels[rows] = 0 if source.targets is not None else _labels(source)[rows]
    return labels


def _labels(source: Source) -> NDArray[np.int64]:
    return np.array([-1 if entry.label is None else entry.label for entry in source.entries], np.int64)
