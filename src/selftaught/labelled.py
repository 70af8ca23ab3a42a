"""Labelled data as a probe is given them: training and test samples with one list of classes."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from selftaught.config import RunConfig
from selftaught.encode import NEEDS, probe_sampling
from selftaught.encoders.base import Encoder
from selftaught.parts import open_halves
from selftaught.prepare import pack
from selftaught.probes.base import Labelled
from selftaught.progress import say_once
from selftaught.randomness import numpy_generator
from selftaught.sources import open_source
from selftaught.sources.base import Source
from selftaught.sources.splits import told
from selftaught.store import Samples
from selftaught.subset import Subset
from selftaught.value_range import with_range

HELD_OUT = 0.1
"""Share that is the test part of data that have none, drawn once, with seed 0."""


def open_labelled(
    config: RunConfig, encoder: Encoder, labelled: str, *, many: bool = False, download: bool = False
) -> Labelled:
    """Both splits of labelled data as the encoder reads them; samples without a label are left out.

    With `many`, samples may be of several classes, and the result has targets.
    """
    needs = NEEDS[encoder.kind] | {"labels" if many else "label"}
    sources = [_open(config, labelled, split, needs, download) for split in ("train", "test")]
    config = with_range(config, sources[0])

    def packed(source: Source) -> Samples:
        title = "packing train" if source is sources[0] else "packing test"
        return pack(source, config, probe_sampling(encoder), title=title)

    halves = open_halves(sources[0], sources[1], packed, share=config.held_out or HELD_OUT)
    for note in halves.notes:
        say_once(note)
    train, test = halves.train, halves.held_out
    data = _several(sources, train, test) if sources[0].targets is not None else _single(train, test, labelled, many)
    test_is = told(sources[1].part, seed=0, test=len(data.test), train=len(data.train))
    return replace(data, test_is=test_is)


def _single(train: Samples, test: Samples, labelled: str, many: bool) -> Labelled:
    """Samples of one class each, with targets where they are asked for."""
    if train.labels is None or test.labels is None or not train.classes:
        raise ValueError(f"{labelled} has no labels; a probe needs sub-folders per class, a label column or labels.csv")
    test = _with_classes(test, train.classes, labelled)
    assert test.labels is not None
    train, test = (Subset(half, np.flatnonzero(half.labels >= 0)) for half in (train, test) if half.labels is not None)
    data = Labelled(train=train, test=test, classes=train.classes or ())
    return replace(data, train_targets=_one_hot(data, train), test_targets=_one_hot(data, test)) if many else data


def _one_hot(data: Labelled, half: Samples) -> NDArray[np.int8]:
    targets: NDArray[np.int8] = (np.asarray(half.labels)[:, None] == np.arange(len(data.classes))).astype(np.int8)
    return targets


def _several(sources: list[Source], train: Samples, test: Samples) -> Labelled:
    """Samples that may be of several classes; those of which nothing is said are left out."""
    halves, targets = [], []
    for source, samples in zip(sources, (train, test), strict=True):
        if source.targets is None or source.classes != sources[0].classes:
            raise ValueError(f"{source.name}: the training and the test part must name the same classes")
        found = source.targets[samples.source_of]
        rows = np.flatnonzero((found >= 0).any(1))
        if not len(rows):
            raise ValueError(f"{source.name}: none of the {len(samples)} samples of one part has labels")
        halves.append(Subset(samples, rows))
        targets.append(found[rows])
    return Labelled(
        train=halves[0],
        test=halves[1],
        classes=sources[0].classes or (),
        train_targets=targets[0],
        test_targets=targets[1],
    )


def _open(config: RunConfig, labelled: str, split: str, needs: frozenset[str], download: bool) -> Source:
    held_out = config.held_out or HELD_OUT
    return open_source(labelled, split=split, needs=needs, download=download, seed=0, held_out=held_out)


def few(data: Labelled, fraction: float, *, limit: int | None = None, seed: int = 0) -> Labelled:
    """The same data with a share of the training samples, drawn by `seed`; balanced where each is of one class.

    Where `limit` leaves fewer of them, the share is of those.
    """
    train = data.train
    assert isinstance(train, Subset)
    labels = np.zeros(len(train), np.int64) if train.labels is None else train.labels
    rows = balanced_rows(labels, fraction, limit, seed)
    if len(rows) == len(train):
        return data
    targets = None if data.train_targets is None else data.train_targets[rows]
    return replace(data, train=Subset(train.base, train.rows[rows]), train_targets=targets)


def balanced_rows(labels: np.ndarray, fraction: float, limit: int | None, seed: int) -> np.ndarray:
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


def identity(data: Labelled) -> str:
    """Hex digest that changes when the samples, their labels or the classes do."""
    parts = [data.train.fingerprint, data.test.fingerprint, repr(data.classes)]
    for values in (data.train.labels, data.test.labels, data.train_targets, data.test_targets):
        if values is not None:
            parts.append(hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _with_classes(test: Samples, classes: tuple[str, ...], labelled: str) -> Samples:
    """Number the test classes as the training classes are; a class that was not trained on is an error."""
    if test.classes is None or test.classes == classes:
        return test
    unseen = sorted(set(test.classes) - set(classes))
    if unseen:
        raise ValueError(
            f"{labelled}: classes {', '.join(unseen[:5])} are in the test split but not in the training split"
        )
    numbers = np.array([classes.index(name) for name in test.classes])
    assert test.labels is not None
    return Subset(test, np.arange(len(test)), labels=np.where(test.labels < 0, -1, numbers[test.labels]))
