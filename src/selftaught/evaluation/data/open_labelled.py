"""Labelled data become training and test samples with one list of classes."""

from __future__ import annotations

import difflib
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from selftaught.core.config import RunConfig
from selftaught.core.objects.registry import is_object
from selftaught.core.plain import same_place
from selftaught.core.progress import say_once
from selftaught.data.computed.with_maps import pack_with_maps
from selftaught.data.files.official_splits import NoSuchSplit
from selftaught.data.files.splits import told
from selftaught.data.sources.base import Source
from selftaught.data.sources.value_range import with_range
from selftaught.data.store.parts import SomeEntries, open_halves
from selftaught.data.store.samples import Samples
from selftaught.data.store.subset import Subset
from selftaught.evaluation.data.base import Asked, DataKind
from selftaught.evaluation.data.duplicates import note_of_duplicates
from selftaught.evaluation.data.labelled import Labelled
from selftaught.evaluation.data.labelled_split import UNLABELLED, open_drawn, open_limited

EVERY_SPLIT = 0
"""As --split-number: all official splits, one after the other."""


def open_labelled(asked: Asked) -> Labelled:
    """Both parts of labelled data as the encoder reads them; samples without a label are left out.

    Data without a test part of their own are split by class: into folds that are tested in turn, or into two parts. See
    `folds.py` for what is usual. With a limit, about so many training samples are packed where the test part does not
    depend on the others, at least one of each class.
    """
    if asked.data.split_number == EVERY_SPLIT:
        return _of_every_split(asked)
    labelled, many = asked.data.path, "labels" in asked.needs
    sources = [asked.source(split) for split in ("train", "test")]
    reading = with_range(asked.data, sources[0])
    part = sources[1].part

    def packed(source: Source) -> Samples:
        title = "packing test" if source is sources[1] else "packing train"
        return pack_with_maps(source, reading, asked.sampling, size=asked.size, title=title)

    if not part and not asked.as_run:
        sources[0] = asked.source("train", held_out=0.0)
        drawn = open_drawn(
            sources[0],
            packed,
            labelled,
            test_share=asked.test_share,
            folds=asked.folds,
            limit=asked.limit,
            seed=asked.seed,
        )
        return _with_duplicates(replace(drawn, notes=(*drawn.notes, *_seen(asked.run, labelled))), labelled)
    for flag, value in (("test-share", asked.test_share), ("folds", asked.folds)):
        if value is not None and value != 1:
            raise ValueError(
                f"--{flag} is for data without a test part of their own, but "
                + (f"{labelled} has the part {part}; leave it out" if part else "--supervised trains on one split")
            )
    if asked.limit is not None:
        sources[0] = open_limited(sources[0], packed, asked.limit, seed=asked.seed)
    halves = open_halves(sources[0], sources[1], packed, share=asked.held_out)
    for note in halves.notes:
        say_once(note)
        part = ""
    train, test, sources = halves.train, halves.held_out, list(halves.sources)
    data = _several(sources, train, test) if sources[0].targets is not None else _single(train, test, labelled, many)
    test_is = told(part, seed=0, test=len(data.test), train=len(data.train))
    data = replace(data, test_is=test_is, is_limited=isinstance(sources[0], SomeEntries))
    return _with_duplicates(data, labelled)


def _of_every_split(asked: Asked) -> Labelled:
    """The official splits one after the other, as the folds of a cross-validation."""
    if asked.test_share is not None or (asked.folds or 1) > 1:
        raise ValueError("--split-number 0 tests on all official splits; leave out --test-share and --folds")
    found: list[Labelled] = []
    while True:
        number = len(found) + 1
        try:
            found.append(open_labelled(replace(asked, data=replace(asked.data, split_number=number))))
        except NoSuchSplit:
            if not found:
                raise
            break
    test_is = f"{len(found)} official splits, averaged"
    notes = tuple(dict.fromkeys(note for one in found for note in one.notes))
    return replace(found[0], folds=tuple(found), test_is=test_is, notes=notes)


LABELLED = DataKind(open=open_labelled, has_classes=True)
"""For probes that need "label", one class each, or "labels", one or several."""


def _with_duplicates(data: Labelled, labelled: str) -> Labelled:
    """With the note on images that are in both parts, where there are some."""
    note = note_of_duplicates(data, labelled)
    if not note:
        return data
    say_once(note)
    return replace(data, notes=(*data.notes, note))


def _seen(run: RunConfig | None, labelled: str) -> list[str]:
    """What is to be said where the test samples are drawn from the data that the run learned from."""
    if run is None or not same_place(run.data.path, labelled):
        return []
    how = "with their labels" if "supervised" in run.task.split("+") else "without their labels"
    # The name of a data set of Python is that of its class: in another process it may be of other images.
    whose = "has the name of" if is_object(labelled, "dataset") else "is"
    seen = "may have seen" if is_object(labelled, "dataset") else "saw"
    note = f"{labelled} {whose} the run's own data: the encoder {seen} test samples in training, {how}"
    say_once(note)
    return [note]


def _single(train: Samples, test: Samples, labelled: str, many: bool) -> Labelled:
    """Samples of one class each, with targets where they are asked for."""
    if train.labels is None or not train.classes or not (train.labels >= 0).any():
        raise ValueError(UNLABELLED.format(labelled))
    if test.labels is None or not (test.labels >= 0).any():
        raise ValueError(
            f"{labelled}: only the training part has labels, the test part has none; give the training part alone "
            "as --labelled, of which a part is then held out for the test"
        )
    test = _with_classes(test, train.classes, labelled)
    assert test.labels is not None
    train, test = (Subset(half, np.flatnonzero(half.labels >= 0)) for half in (train, test) if half.labels is not None)
    notes = _never_trained(train, test, labelled)
    data = Labelled(train=train, test=test, classes=train.classes or (), notes=notes)
    return replace(data, train_targets=_one_hot(data, train), test_targets=_one_hot(data, test)) if many else data


def _never_trained(train: Samples, test: Samples, labelled: str) -> tuple[str, ...]:
    """What is to be said of test samples whose class no training sample has: none of them can be right."""
    classes = train.classes or ()
    assert train.labels is not None
    assert test.labels is not None
    known = set(np.unique(train.labels).tolist())
    unseen = [i for i in np.unique(test.labels).tolist() if i not in known]
    if not unseen:
        return ()
    names = [classes[i] for i in unseen]
    count = int(np.isin(test.labels, unseen).sum())
    near = _near(names, tuple(classes[i] for i in sorted(known)))
    note = (
        f"{labelled}: {count} test samples are of classes without a training sample, {', '.join(names[:5])}{near}; "
        "they count as wrong"
    )
    say_once(note)
    return (note,)


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


def _with_classes(test: Samples, classes: tuple[str, ...], labelled: str) -> Samples:
    """Number the test classes as the training classes are; a class that was not trained on is an error."""
    if test.classes is None or test.classes == classes:
        return test
    unseen = sorted(set(test.classes) - set(classes))
    if unseen:
        raise ValueError(
            f"{labelled}: classes {', '.join(unseen[:5])} are in the test split but not in the training split"
            f"{_near(unseen, classes)}; name them alike, or leave them out of the test split"
        )
    numbers = np.array([classes.index(name) for name in test.classes])
    assert test.labels is not None
    return Subset(test, np.arange(len(test)), labels=np.where(test.labels < 0, -1, numbers[test.labels]))


def _near(unseen: list[str], classes: tuple[str, ...]) -> str:
    """The training class whose name is most like one that is not known: often a plural or another spelling."""
    by_case = {name.casefold(): name for name in classes}
    for name in unseen:
        if near := difflib.get_close_matches(name.casefold(), by_case, n=1, cutoff=0.7):
            return f" (did you mean {by_case[near[0]]} for {name}?)"
    return ""
