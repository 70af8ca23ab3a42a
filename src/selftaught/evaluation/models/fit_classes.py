"""An encoder and labels become a model of classes: the better of a linear layer and fine-tuning, calibrated."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from selftaught.core.devices import compute_device
from selftaught.core.progress import say_once
from selftaught.core.settings.groups import DataSettings
from selftaught.data.files.file_tree import lost_files, told_lost
from selftaught.data.modality import clip_of
from selftaught.data.sources.value_range import with_range
from selftaught.data.store.samples import Samples, groups_of
from selftaught.encoders.base import Encoder
from selftaught.evaluation.data.base import Asked
from selftaught.evaluation.fit.classifier import predict
from selftaught.evaluation.fit.finetuning import FineTuned, fine_tune
from selftaught.evaluation.models.folder import Facts, check_model_out, row_of, write_model
from selftaught.evaluation.models.known import Known, fitted_to, labels_of, open_known
from selftaught.evaluation.models.linear import DIMS, LinearFit
from selftaught.evaluation.models.network import ALL_STAGES, ClassModel, logits_of, model_of_network, model_of_stage
from selftaught.evaluation.models.reading import network_of_subject, reading_of
from selftaught.evaluation.models.settings import HowToFit
from selftaught.evaluation.models.worth import Judged, accuracy_of, calibrated, gain_of, interval_said
from selftaught.evaluation.parts_of_work import PartsOfWork
from selftaught.evaluation.subject import Subject
from selftaught.features.encode import CLIPS
from selftaught.features.reader import Reader


@dataclass(frozen=True, kw_only=True)
class _Tried:
    """One method on held-back samples `rows` (N,) bool; `more` is what it chose."""

    judged: Judged
    rows: NDArray[np.bool_]
    more: dict[str, Any]


class ClassFit:
    """One encoder fitted to labels by both methods."""

    def __init__(self, encoder: Encoder, subject: Subject, known: Known, how: HowToFit, device: torch.device) -> None:
        self.known, self.how = known, how
        self.is_random = encoder is not subject.encoder
        # Features in float32, as the model computes them later on any machine.
        self.reader = Reader(
            encoder=encoder,
            size=subject.network.size,
            device=device,
            precision="32-true",
            batch_size=64,
            clips=CLIPS,
            is_random=self.is_random,
        )
        self._linear: LinearFit | None = None

    def tried(self, method: str) -> _Tried:
        """The method on samples that it did not learn from."""
        known = self.known
        if method == "linear":
            logits = self._on_stages().out_of_fold()
            rows = np.isfinite(logits[:, 0])
            return _Tried(judged=self._judged(logits[rows], rows), rows=rows, more={})
        rows = known.held[0]
        found = self._tuned(fitted_to(known, np.flatnonzero(~rows)), None)
        logits = self._predict(found, fitted_to(known, np.flatnonzero(rows)))
        return _Tried(judged=self._judged(logits, rows), rows=rows, more=found.more)

    def on_test(self, method: str, test: Samples) -> Judged:
        """What the method fitted to all labels reaches on the test part."""
        if method == "linear":
            fit = self._on_stages()
            fit.out_of_fold()  # chooses the strength
            logits = fit.logits(fit.fit(), test)
        else:
            logits = self._predict(self._tuned(self.known.samples, None), test)
        return Judged(logits=logits, labels=labels_of(test), groups=groups_of(test))

    def model(self, method: str, more: dict[str, Any]) -> tuple[ClassModel, dict[str, Any]]:
        """The method fitted to all labels, and what it chose; `more` of `tried` has the learning rate."""
        size = self.reader.size
        if method == "linear":
            found = self._on_stages().fit()
            chosen = {"stage": found.stage, "strength": found.strength}
            if found.stage != ALL_STAGES:
                chosen["stage_accuracy"] = round(100 * found.accuracy, 3)
            encoder = self.reader.encoder
            return model_of_stage(encoder, found.classifier, stage=found.stage, dims=DIMS, size=size), chosen
        tuned = self._tuned(self.known.samples, (more["lr"],))
        return model_of_network(tuned.network, size=size), tuned.more | {"tried": more["tried"]}

    def _on_stages(self) -> LinearFit:
        self._linear = self._linear or LinearFit(self.reader, self.known, seed=self.how.seed)
        return self._linear

    def _tuned(self, samples: Samples, lr: tuple[float, ...] | None) -> FineTuned:
        classes = len(self.known.classes)
        return fine_tune(self.reader, samples, classes, self.how.fine_tuning(self.known, lr), seed=self.how.seed)

    def _predict(self, found: FineTuned, samples: Samples) -> NDArray[np.float64]:
        logits: NDArray[np.float64] = predict(found.network, samples, self.reader).double().numpy()
        return logits

    def _judged(self, logits: NDArray[np.float64], rows: NDArray[np.bool_]) -> Judged:
        labels = self.known.labels[rows]
        groups = groups_of(self.known.samples)
        weights = self.known.sample_weights(labels)
        return Judged(logits=logits, labels=labels, weights=weights, groups=None if groups is None else groups[rows])


def fit_classes(
    subject: Subject, reading: DataSettings, out: Path, how: HowToFit, *, accelerator: str, overwrite: bool
) -> dict[str, Any]:
    """Fit a model of classes and write its folder; see `selftaught.fit`."""
    path = check_model_out(out, overwrite=overwrite)
    device = compute_device(accelerator)
    _check(subject, how)
    known = open_known(_asked(subject, reading, how.seed), class_weights=how.class_weights)
    if told := told_lost(list(known.skipped), reading.path):
        say_once(told)
    work = PartsOfWork("part", len(how.methods) + 2, is_eager=True)
    own = ClassFit(subject.encoder, subject, known, how, device)
    tried: dict[str, _Tried] = {}
    for method in how.methods:
        work.begin(f"{method} on labels that are held back")
        tried[method] = own.tried(method)
    method = _better(tried, known)
    chosen = tried[method]
    work.begin(f"{method} with random weights")
    other = ClassFit(subject.random(), subject, known, how, device)
    test = known.test
    random = other.tried(method).judged if test is None else other.on_test(method, test)
    work.begin(f"{method} on all {len(known.labels):,} labels")
    model, more = own.model(method, chosen.more)
    hot, calibration = calibrated(chosen.judged, how.seed)
    on_test = None
    if test is not None:
        logits = logits_of(model, test, device).double().numpy()
        on_test = Judged(logits=logits, labels=labels_of(test), groups=groups_of(test))
    model.temperature.fill_(hot)
    judged = chosen.judged if on_test is None else on_test
    facts = Facts(
        kind="classes",
        classes=known.classes,
        network=network_of_subject(subject),
        reading=_reading(subject, reading),
        head={"stage": model.stage, "dims": model.dims},
        fitted={"method": method, "class_weights": how.class_weights, "seed": how.seed} | more
        | {"compared": {name: _accuracy(one) for name, one in tried.items()}},
        data=_data(reading, known),
        encoder_of=subject.name,
        version=version("selftaught"),
        held_back={"is": known.held_is if chosen.rows.sum() > known.held[0].sum() or len(known.held) == 1
                   else f"{int(chosen.rows.sum()):,} of {len(known.labels):,} labels"}
        | accuracy_of(chosen.judged, known.classes),
        test=None if on_test is None else accuracy_of(on_test, known.classes),
        random=accuracy_of(random, known.classes),
        gain=gain_of(judged, random),
        calibration=calibration,
    )  # fmt: skip
    write_model(path, model.cpu(), facts, _rows(chosen, known, hot))
    if told := interval_said(facts.test or facts.held_back):
        say_once(told)
    return _result(path, facts, known)


def _check(subject: Subject, how: HowToFit) -> None:
    if subject.encoder.kind == "audio" and how.method != "linear":
        raise ValueError(
            "--method must be linear for an encoder of audio, which is not fine-tuned; give --method linear"
        )


def _asked(subject: Subject, reading: DataSettings, seed: int) -> Asked:
    encoder = subject.encoder
    return Asked(
        data=reading,
        size=subject.network.size,
        run=subject.run,
        kind=encoder.kind,
        clip=clip_of(encoder.clip_seen),
        needs=frozenset({"label"}),
        seed=seed,
    )


def _better(tried: dict[str, _Tried], known: Known) -> str:
    """The method that is better on samples that all were tried on; the first where they are equal."""
    rows = np.logical_and.reduce([one.rows for one in tried.values()])
    order = {name: one.judged.some(rows[one.rows]).order for name, one in tried.items()}
    return max(order, key=lambda name: order[name])


def _accuracy(one: _Tried) -> float:
    return round(100 * float(one.judged.right.mean()), 3)


def _reading(subject: Subject, reading: DataSettings) -> dict[str, Any]:
    return reading_of(with_range(reading, _asked(subject, reading, 0).source("train", held_out=0.0)))


def _data(reading: DataSettings, known: Known) -> dict[str, Any]:
    return {
        "path": reading.path,
        "labels": len(known.labels),
        "by_class": known.counts,
        "test": None if known.test is None else len(known.test),
        "skipped": lost_files(known.skipped),
        "notes": list(known.notes),
        "fingerprint": known.samples.fingerprint,
    }


def _rows(chosen: _Tried, known: Known, hot: float) -> list[dict[str, Any]]:
    probabilities = softmax(chosen.judged.logits / hot, axis=1)
    keys = np.array(known.samples.keys, dtype=object)[chosen.rows]
    names, judged = known.classes, chosen.judged
    groups = [None] * len(keys) if judged.groups is None else judged.groups.tolist()
    return [
        row_of(key, names[label], names[int(row.argmax())], float(row.max()), group)
        for key, label, row, group in zip(keys.tolist(), judged.labels.tolist(), probabilities, groups, strict=True)
    ]


def _stage_in_words(stage: str) -> str:
    return "all stages" if stage == ALL_STAGES else stage


def _result(path: Path, facts: Facts, known: Known) -> dict[str, Any]:
    where = facts.test or facts.held_back
    fitted = facts.fitted
    return {
        "model": str(path),
        "method": f"linear on {_stage_in_words(fitted['stage'])}" if fitted["method"] == "linear" else "finetune",
        "labels": len(known.labels),
        "classes": len(facts.classes),
        "measured_on": f"the data's own test part, {where['samples']:,} samples" if facts.test else where["is"],
        "accuracy": where["accuracy"],
        "interval": where["interval"],
        **({"groups": where["groups"]} if "groups" in where else {}),
        "balanced_accuracy": where["balanced_accuracy"],
        "random": facts.random["accuracy"],
        "gain": facts.gain["value"],
        "gain_interval": facts.gain["interval"],
        "temperature": facts.calibration["temperature"],
        "ece_before": facts.calibration["ece_before"],
        **({} if (after := facts.calibration["ece_after"]) is None else {"ece_after": after}),
        "skipped": facts.data["skipped"],
        "compared": fitted["compared"],
        "facts": {"held_back": facts.held_back, "test": facts.test, "fitted": fitted, "data": facts.data},
    }
