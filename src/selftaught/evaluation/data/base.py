"""What the data of every probe have in common: test samples, mostly training samples too, and shares of them."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from selftaught.core.config import RunConfig
from selftaught.core.randomness import numpy_generator
from selftaught.core.settings.groups import DataSettings
from selftaught.data.batch import Sampling
from selftaught.data.files.file_tree import lost_files
from selftaught.data.inputs import Clip, Input, listed, needs_of
from selftaught.data.modality import MODALITIES, USUAL_CLIP, Modality
from selftaught.data.sources.base import Source
from selftaught.data.sources.open import open_part
from selftaught.encoders.names import Kind

HELD_OUT = 0.1
"""Default share that a run on data without a test part does not learn from, drawn once with seed 0."""


class Part(Protocol):
    """The training or the test samples.

    Attributes:
        fingerprint: hex digest that changes when the samples do.
        skipped: (path, reason) of what was left out because it could not be used.
    """

    fingerprint: str
    skipped: list[tuple[str, str]]

    def __len__(self) -> int: ...


@dataclass(frozen=True, kw_only=True)
class EvaluationData(ABC):
    """Data that a probe fits on, and data that it is evaluated on.

    Attributes:
        test: the samples it is evaluated on.
        classes: names of the classes; empty where there are none.
        test_is: where the test part comes from, such as "the data's own val part".
        notes: sentences for people on how the data were read and divided.
        is_limited: whether training samples were left out, as asked, before any was read.
    """

    test: Part
    classes: tuple[str, ...] = ()
    test_is: str = ""
    notes: tuple[str, ...] = ()
    is_limited: bool = False

    @property
    def fitted_on(self) -> Part | None:
        """The training samples; None where nothing is fitted."""
        return None

    @property
    def parts(self) -> Sequence[Self]:
        """The data themselves, or every fold of a cross-validation."""
        return (self,)

    @property
    @abstractmethod
    def identity(self) -> str:
        """Hex digest that changes when the samples or what is known of them do."""

    def few(self, fraction: float, *, limit: int | None = None, seed: int = 0) -> Self:
        """The same data with a share of the training samples, or of `limit` of them, drawn by `seed`; itself if all."""
        return self

    @property
    def train_samples(self) -> int:
        """How many samples a probe learns from; in one fold where there are several."""
        return 0 if self.fitted_on is None else len(self.fitted_on)

    @property
    def test_samples(self) -> int:
        """Number of test samples in all folds."""
        return sum(len(part.test) for part in self.parts)

    @property
    def skipped(self) -> int:
        """How many samples were left out because they could not be used."""
        return lost_files(self.unused)

    @property
    def unused(self) -> list[tuple[str, str]]:
        """(path, reason) of what could not be used, wholly or in part."""
        return [*self.test.skipped, *(() if self.fitted_on is None else self.fitted_on.skipped)]


@dataclass(frozen=True, kw_only=True)
class TwoParts(EvaluationData):
    """Training and test samples without classes of their own, so that any rows of the training part are a share."""

    train: Part

    @abstractmethod
    def only(self, rows: NDArray[np.int64]) -> Self:
        """The same data with these rows (K,) of the training samples."""

    @property
    def fitted_on(self) -> Part:
        """The training samples."""
        return self.train

    @property
    def identity(self) -> str:
        """Hex digest that changes when the samples, what is known of them or the classes do."""
        return hashlib.sha256(repr((self.train.fingerprint, self.test.fingerprint, self.classes)).encode()).hexdigest()

    def few(self, fraction: float, *, limit: int | None = None, seed: int = 0) -> Self:
        """The same data with a share of the training samples, or of `limit` of them, at least one, drawn by `seed`."""
        count = len(self.train)
        kept = max(1, round(fraction * min(count, count if limit is None else limit)))
        if kept == count:
            return self
        return self.only(np.sort(numpy_generator(seed, "fraction").permutation(count)[:kept]))


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which data, for which encoder and probe, and how they shall be divided.

    Attributes:
        data: which data, and how they are read.
        size: of the images that the encoder sees, pixels.
        run: settings of the run that the encoder is of; None for weights in a file.
        kind: of the encoder.
        clip: how clips are cut for it.
        needs: what the probe needs of the data, `Probe.needs`.
        inputs: what the probe reads of each sample, `Probe.inputs`; empty for what the encoder takes.
        skip_broken: leave out and list images whose boxes or masks are missing or wrong.
        test_share: of each class; None for what is usual.
        folds: parts of a cross-validation, 1 for none; None for what is usual.
        as_run: divide them as a run on them does, for an encoder that was trained on the labels of the rest.
        limit: read about so many training samples.
        seed: of the training samples that are chosen.
    """

    data: DataSettings
    size: int
    kind: Kind
    clip: Clip = USUAL_CLIP
    run: RunConfig | None = None
    needs: frozenset[str] = frozenset()
    inputs: Mapping[str, Input] = field(default_factory=dict)
    skip_broken: bool = False
    test_share: float | None = None
    folds: int | None = None
    as_run: bool = False
    limit: int | None = None
    seed: int = 0

    @property
    def held_out(self) -> float:
        """The share that is the test part where the data have none and they are divided as a run does."""
        return self.data.held_out or HELD_OUT

    @property
    def sampling(self) -> Sampling:
        """How each sample is cut; an encoder of images takes the frames of a clip where the probe needs videos."""
        if not self.inputs:
            return self._modality.sampling(self.clip)
        takes = {"image", "video"} if self.kind == "image" else {self.kind}
        if not any(one.takes in takes for one in self.inputs.values()):
            raise ValueError(
                f"the probe reads {listed(self.inputs)} of each sample, which no encoder of {self.kind} takes; "
                "choose another probe"
            )
        return Sampling(inputs=self.inputs)

    def source(self, split: str, *, held_out: float | None = None) -> Source:
        """One part of the data, of which nothing is decoded; what they lack is one sentence."""
        needs = needs_of(self.sampling.inputs) if self.inputs else self._modality.needs
        return open_part(
            self.data, split=split, needs=needs | self.needs, held_out=self.held_out if held_out is None else held_out
        )

    @property
    def _modality(self) -> Modality:
        is_video = "video" in self.needs and self.kind == "image"
        return MODALITIES["video" if is_video else self.kind]


def check_source(asked: Asked) -> None:
    """Raise what the training part of the data lacks."""
    asked.source("train", held_out=asked.data.held_out)


@dataclass(frozen=True, kw_only=True)
class DataKind:
    """A kind of evaluation data: how they are opened, and which flags they understand.

    Attributes:
        open: reads or packs them.
        check: raises what they lack, before anything is decoded.
        learns: whether there are training samples, of which shares can be asked for.
        has_classes: whether samples have classes, which an encoder can be trained on and which folds are dealt by.
        skips_broken: whether samples may be left out by --skip-broken.
    """

    open: Callable[[Asked], EvaluationData]
    check: Callable[[Asked], None] = check_source
    learns: bool = True
    has_classes: bool = False
    skips_broken: bool = False
