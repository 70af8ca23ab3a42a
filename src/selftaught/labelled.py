"""Labelled data as a probe is given them: training and test samples with one list of classes."""

from __future__ import annotations

import hashlib

import numpy as np

from selftaught.config import RunConfig
from selftaught.encode import NEEDS, probe_sampling
from selftaught.encoders.base import Encoder
from selftaught.prepare import pack
from selftaught.probes.base import Labelled
from selftaught.randomness import numpy_generator
from selftaught.sources import open_source
from selftaught.store import Samples
from selftaught.subset import Subset

HELD_OUT = 0.1
"""Share that is the test part of data that have none, drawn once, with seed 0."""


def open_labelled(config: RunConfig, encoder: Encoder, labelled: str, *, download: bool = False) -> Labelled:
    """Both splits of labelled data as the encoder reads them; samples without a label are left out."""
    needs = NEEDS[encoder.kind] | {"label"}
    train, test = (_open(config, encoder, labelled, split, needs, download) for split in ("train", "test"))
    if train.labels is None or test.labels is None or not train.classes:
        raise ValueError(f"{labelled} has no labels; a probe needs sub-folders per class, a label column or labels.csv")
    test = _with_classes(test, train.classes, labelled)
    assert test.labels is not None
    return Labelled(
        train=Subset(train, np.flatnonzero(train.labels >= 0)),
        test=Subset(test, np.flatnonzero(test.labels >= 0)),
        classes=train.classes,
    )


def _open(
    config: RunConfig, encoder: Encoder, labelled: str, split: str, needs: frozenset[str], download: bool
) -> Samples:
    source = open_source(
        labelled, split=split, needs=needs, download=download, seed=0, held_out=config.held_out or HELD_OUT
    )
    return pack(source, config, probe_sampling(encoder), title=f"packing {split}")


def few(data: Labelled, fraction: float, *, limit: int | None = None, seed: int = 0) -> Labelled:
    """The same data with a share of the training samples, balanced over the classes and drawn by `seed`."""
    train = data.train
    assert isinstance(train, Subset)
    assert train.labels is not None
    rows = balanced_rows(train.labels, fraction, limit, seed)
    if len(rows) == len(train):
        return data
    return Labelled(train=Subset(train.base, train.rows[rows]), test=data.test, classes=data.classes)


def balanced_rows(labels: np.ndarray, fraction: float, limit: int | None, seed: int) -> np.ndarray:
    """Rows of a class-balanced, seeded share of the samples that have a label; at least one of every class."""
    rows = np.flatnonzero(labels >= 0)
    share = min(fraction, 1.0 if limit is None else limit / len(rows))
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
    for half in (data.train, data.test):
        assert half.labels is not None
        parts.append(hashlib.sha256(np.ascontiguousarray(half.labels).tobytes()).hexdigest())
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
