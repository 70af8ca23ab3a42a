"""Labelled data without a test part of their own: what is tested, and which of the rest is packed."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from selftaught.data.batch import Sampling
from selftaught.data.sources.base import Entry, Source
from selftaught.data.store.open import open_samples
from selftaught.data.store.samples import Samples
from selftaught.evaluation.data.labelled_split import open_drawn, open_limited


class Squares(Source):
    """Random images with given labels; those of `broken` cannot be read."""

    def __init__(self, labels: list[int | None], broken: tuple[int, ...] = ()) -> None:
        self.pixels = np.random.default_rng(0).integers(0, 255, (len(labels), 8, 8, 3), dtype=np.uint8)
        self.entries = [Entry(f"{i:03d}", label) for i, label in enumerate(labels)]
        known = {label for label in labels if label is not None}
        self.classes, self.provides = tuple(map(str, range(max(known, default=0) + 1))), frozenset({"image", "label"})
        self.broken, self.fingerprint = broken, f"squares {labels} {broken}"

    def read(self, i: int) -> NDArray[np.uint8]:
        if i in self.broken:
            raise ValueError("broken on purpose")
        return np.asarray(self.pixels[i])


opened: list[int] = []


def open_part(source: Source) -> Samples:
    opened.append(len(source))
    return open_samples(source, side=8, sampling=Sampling(), cache_limit_gb=1.0, workers=1)


LABELS: list[int | None] = [0] * 40 + [1] * 20 + [2] + [None] * 3


def counts(samples: Samples) -> list[int]:
    assert samples.labels is not None
    return [int((samples.labels == label).sum()) for label in range(3)]


def test_a_share_of_every_class_is_tested() -> None:
    data = open_drawn(Squares(LABELS), open_part, "data", test_share=0.25, folds=None, limit=None, seed=0)
    assert counts(data.test) == [10, 5, 0]
    assert counts(data.train) == [30, 15, 1]
    assert data.test_is == "15 of 61 samples, the same share of each class, drawn once"
    assert data.notes == ("data: 1 of 3 classes have a single sample, which is never tested",)


def test_folds_test_each_sample_once() -> None:
    data = open_drawn(Squares(LABELS), open_part, "data", test_share=None, folds=4, limit=None, seed=0)
    assert data.test_is == "4-fold cross-validation of 61 labelled samples"
    tested = [key for fold in data.folds for key in fold.test.keys]
    assert sorted(tested) == [f"{i:03d}" for i in range(60)]
    with pytest.raises(ValueError, match=r"^--folds must be at most the 61 labelled samples, got 62$"):
        open_drawn(Squares(LABELS), open_part, "data", test_share=None, folds=62, limit=None, seed=0)


def test_a_limit_packs_the_test_part_and_so_many_others() -> None:
    whole = open_drawn(Squares(LABELS), open_part, "data", test_share=0.25, folds=1, limit=None, seed=0)
    opened.clear()
    few = open_drawn(Squares(LABELS), open_part, "data", test_share=0.25, folds=1, limit=9, seed=0)
    assert few.is_limited
    assert few.test.keys == whole.test.keys
    assert counts(few.train) == [6, 3, 1]
    assert opened == [15 + 10]


def test_data_without_two_classes_are_refused() -> None:
    for labels, sentence in (
        ([0] * 6, "^data: a probe needs two classes with samples, got 1$"),
        ([None] * 6, "^data has no labels; a probe needs sub-folders per class, a label column or labels.csv$"),
    ):
        with pytest.raises(ValueError, match=sentence):
            open_drawn(Squares(list(labels)), open_part, "data", test_share=None, folds=1, limit=None, seed=0)


def test_a_limited_training_part_reads_no_more_than_it_needs() -> None:
    source = Squares(LABELS)
    opened.clear()
    some = open_limited(source, open_part, 9, seed=0)
    assert opened == [len(some)]
    assert len(some) == 10  # every class is rounded, and has at least one
    assert open_limited(source, open_part, 61, seed=0) is source


def test_what_cannot_be_read_is_replaced() -> None:
    first = open_limited(Squares(LABELS), open_part, 9, seed=0)
    broken = tuple(int(entry.key) for entry in first.entries[:4])
    some = open_limited(Squares(LABELS, broken), open_part, 9, seed=0)
    assert len(open_part(some)) >= 9
    assert len(some) < 40
