"""What an encoder is worth by one protocol, beside random weights and, where asked, supervised training."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from selftaught.core.devices import compute_device
from selftaught.core.files import cache_root, written_whole
from selftaught.core.own_folder import mark, record, write_json
from selftaught.core.progress import say_once
from selftaught.core.settings.groups import DataSettings
from selftaught.data.files.file_tree import told_lost
from selftaught.data.inputs import Clip
from selftaught.data.modality import clip_of
from selftaught.encoders.base import Encoder
from selftaught.evaluation.data.base import Asked, EvaluationData
from selftaught.evaluation.kept_score import figures, keep_score, kept_score, write_files
from selftaught.evaluation.measurement_checks import check_kind, check_measurement, folds_of
from selftaught.evaluation.metrics.intervals import difference, interval_of
from selftaught.evaluation.metrics.labels_saved import labels_saved
from selftaught.evaluation.parts_of_work import PartsOfWork
from selftaught.evaluation.probes.base import Probe, Score
from selftaught.evaluation.probes.catalogue import probe_info
from selftaught.evaluation.score_parts import score_parts
from selftaught.evaluation.subject import Subject
from selftaught.evaluation.supervised import check_supervised, supervised_run
from selftaught.features.reader import Reader
from selftaught.training.encoder_of_run import load_encoder

FEATURES = "features"
"""Folder, next to a run's evaluations, that its features are kept in."""
IMAGES_AT_ONCE = 256
"""Images that are encoded at once."""
PredictMaps = Callable[[torch.Tensor], Mapping[str, torch.Tensor]]
KEPT = 7
"""Version of cached metrics of random weights; raise it when their computation changes."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Protocol:
    """A probe on its data: gives any encoder its score.

    Attributes:
        identity: of the probe, its settings, the data and the seed; key of cached metrics of random weights.
        score: of an encoder, with the folder its features are kept in; `is_random` where its weights were drawn.
    """

    name: str
    settings: dict[str, Any]
    metric: str
    identity: str
    chance: float | None
    train_samples: int
    test_samples: int
    trains_encoder: bool
    score: Callable[..., Score]


def evaluate_encoder(
    subject: Subject,
    labelled: str | DataSettings,
    *,
    probe: str = "linear",
    settings: dict[str, Any] | None = None,
    fractions: Sequence[float] = (1.0,),
    draws: int = 1,
    supervised: bool = False,
    limit: int | None = None,
    seed: int = 0,
    accelerator: str = "auto",
    download: bool = False,
    skip_broken: bool = False,
    test_share: float | None = None,
    folds: int | None = None,
    as_run: bool | None = None,
) -> dict[str, Any]:
    """See `selftaught.evaluate`; `as_run` splits data as an encoder beside it does that learns from their labels."""
    begin = time.monotonic()
    flags: dict[str, Any] = {"draws": draws, "limit": limit, "supervised": supervised, "skip_broken": skip_broken}
    found = check_measurement(probe, settings, seed, fractions, **flags)
    check_kind(probe, found, subject.encoder.name, subject.encoder.kind)
    folds = folds_of(probe, found, test_share, folds)
    if supervised:
        check_supervised(subject)
    reading = subject.reading(labelled, download=download) if isinstance(labelled, str) else labelled
    split = {"test_share": test_share, "folds": folds, "limit": limit, "seed": seed, "skip_broken": skip_broken}
    whole = _open(subject, reading, found, as_run=supervised if as_run is None else as_run, **split)
    data = whole.few(1.0, limit=limit, seed=seed)

    @cache  # its chance and the identity of its data take time
    def protocol(fraction: float, draw: int) -> Protocol:
        return _protocol(probe, found, data.few(fraction, seed=seed + draw), subject, accelerator)

    largest = max(fractions)
    asked_for = [(f, d) for f in sorted(set(fractions)) for d in range(draws if f < 1 else 1)]
    work = PartsOfWork("measurement", len({*asked_for, (largest, 0)}))
    teacher = supervised_run(subject, reading) if supervised else None
    measured: dict[str, dict[str, Any]] = {}

    def measure(fraction: float, draw: int) -> dict[str, Any]:
        asked = protocol(fraction, draw)
        if asked.identity not in measured:
            work.begin(f"{fraction:.4g} of the labels" + (f", draw {draw + 1}" if draws > 1 else ""))
            measured[asked.identity] = _measure(subject, asked, teacher)
        return measured[asked.identity]

    is_limited = data is not whole or whole.is_limited
    result = measure(largest, 0) | {"fraction": largest, "limit": limit if is_limited else None}
    if len(fractions) > 1 or draws > 1:
        result["few_labels"] = [
            _few_labels(fraction, [measure(fraction, draw) for draw in range(draws if fraction < 1 else 1)])
            for fraction in sorted(set(fractions))
        ]
        if protocol(largest, 0).trains_encoder:
            result["labels_saved"] = labels_saved(result["few_labels"])
    outcomes, files = result.pop("outcomes"), result.pop("files")
    result |= _about(subject, reading.path, data) | {"seconds": round(time.monotonic() - begin, 1)}
    return _write(subject, result, outcomes, files, protocol(largest, 0).identity)


def _open(subject: Subject, reading: DataSettings, probe: Probe, **how: Any) -> EvaluationData:
    """The data as the probe asks for them; `how` are further fields of `Asked`."""
    encoder = subject.encoder
    asked = Asked(
        data=reading,
        size=subject.network.size,
        run=subject.run,
        kind=encoder.kind,
        clip=clip_of(encoder.clip_seen),
        needs=probe.needs,
        inputs=probe.inputs,
        **how,
    )
    data = probe.data.open(asked)
    if told := told_lost(data.unused, reading.path):
        say_once(told)
    return data


def _about(subject: Subject, labelled: str, data: EvaluationData) -> dict[str, Any]:
    """What was measured, on which data."""
    return {
        "labelled": str(labelled),
        "encoder": subject.encoder.name,
        "part": subject.part,
        "checkpoint": subject.checkpoint,
        "run": subject.name,
        "folder": str(subject.folder),
        "test_is": data.test_is,
        "notes": list(data.notes),
        "skipped": data.skipped,
    }


def _protocol(name: str, probe: Probe, data: EvaluationData, subject: Subject, accelerator: str) -> Protocol:
    device = compute_device(accelerator)
    size, precision = subject.network.size, subject.precision

    def score(
        encoder: Encoder, cache: Path, *, is_random: bool = False, predict_maps: PredictMaps | None = None
    ) -> Score:
        reader = Reader(
            encoder=encoder,
            size=size,
            device=device,
            precision=precision,
            batch_size=_at_once(probe, encoder),
            cache=cache,
            is_random=is_random,
            predict_maps=predict_maps,
        )

        def of(part: EvaluationData) -> Score:
            found: object = probe.score(reader, part)
            if not isinstance(found, Score):
                raise ValueError(f"--probe {name}: score must return a Score, got {type(found).__name__}")
            return found

        return score_parts(of, data)

    settings = dataclasses.asdict(probe.config)
    parts = (_identity(name), settings, data.identity, probe.seed, size, precision, device.type)
    return Protocol(
        name=probe_info(name).short,
        settings=json.loads(json.dumps(settings)),  # tuples are lists, as in a file
        metric=probe.metric,
        identity=hashlib.sha256(repr(parts).encode()).hexdigest(),
        chance=_chance(probe, data.parts),
        train_samples=data.train_samples,
        test_samples=data.test_samples,
        trains_encoder=probe.trains_encoder,
        score=score,
    )


def _at_once(probe: Probe, encoder: Encoder) -> int:
    """How many samples are encoded at once: fewer where each gives an encoder of images the frames of a clip."""
    frames = [one.frames for one in probe.inputs.values() if isinstance(one, Clip)]
    if not frames and "video" in probe.needs:
        frames = [clip_of(encoder.clip_seen).frames]
    return max(1, IMAGES_AT_ONCE // max(frames, default=1)) if encoder.kind == "image" else IMAGES_AT_ONCE


def _identity(name: str) -> str:
    """A probe's name; of a user's file its text too, which may change."""
    info = probe_info(name)
    return f"{name} {hashlib.sha256(info.path.read_bytes()).hexdigest()}" if info.own else name


def _chance(probe: Probe, parts: Sequence[EvaluationData]) -> float | None:
    """The metric without any knowledge, weighed by the test samples of the parts."""
    found = [probe.chance(part) for part in parts]
    if any(value is None for value in found):
        return None
    return float(np.average([value or 0.0 for value in found], weights=[len(part.test) for part in parts]))


def _measure(subject: Subject, protocol: Protocol, teacher: Path | None) -> dict[str, Any]:
    """The metrics of the encoder and its references; "outcomes" and "files" are written next to them."""
    own = protocol.score(subject.encoder, subject.folder / FEATURES, predict_maps=subject.predict_maps)
    random = _random(subject, protocol)
    scores = {"encoder": own, "random": random}
    if teacher is not None:
        scores["supervised"] = protocol.score(load_encoder(teacher), teacher / FEATURES)
    return {
        "probe": protocol.name,
        "settings": protocol.settings,
        "metric": protocol.metric,
        **figures(own),
        "chance": None if protocol.chance is None else round(protocol.chance, 3),
        "train_samples": protocol.train_samples,
        "test_samples": protocol.test_samples,
        "gain": _gain(own, random),
        "random": figures(random),
        "supervised": figures(scores["supervised"]) if teacher is not None else None,
        "outcomes": {name: score.outcomes for name, score in scores.items() if score.outcomes is not None}
        | {f"{name}_resampled": score.resampled for name, score in scores.items() if score.resampled is not None},
        "files": {name: score.files for name, score in scores.items() if score.files},
    }


def _gain(own: Score, random: Score) -> dict[str, Any]:
    """Points above random weights, with the interval of the difference on the same test samples."""
    points = own.value - random.value
    interval = None
    if own.outcomes is not None and random.outcomes is not None:
        interval = difference(own.outcomes, random.outcomes)
    elif own.resampled is not None and random.resampled is not None:
        interval = interval_of(own.resampled - random.resampled)
    return {"value": None if math.isnan(points) else round(points, 3), "interval": interval and list(interval)}


def _few_labels(fraction: float, drawn: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One share of the labels, drawn several times: means, and the standard deviation over the draws that differ."""
    drawn = list({id(measured): measured for measured in drawn}.values())
    found: dict[str, Any] = {"fraction": fraction, "train_samples": drawn[0]["train_samples"], "draws": len(drawn)}
    for name in ("encoder", "random", "supervised"):
        scores = [d if name == "encoder" else d[name] for d in drawn]
        if all(score is not None for score in scores):
            values = [score["value"] for score in scores]
            spread = round(statistics.stdev(values), 3) if len(values) > 1 else None
            found[name] = {"value": round(statistics.mean(values), 3), "spread": spread, "values": values}
    return found


def _random(subject: Subject, protocol: Protocol) -> Score:
    """The same encoder with random weights; it depends on no run, so its metrics are computed once and kept."""
    store_size = None if subject.run is None else subject.run.data.store_size
    identity = repr((torch.__version__, KEPT, subject.architecture, store_size, protocol.identity))
    key = hashlib.sha256(identity.encode()).hexdigest()[:24]
    folder = cache_root() / "random"
    if kept_score(folder, key) is None:
        keep_score(protocol.score(subject.random(), folder / FEATURES, is_random=True), folder, key)
    kept = kept_score(folder, key)
    assert kept is not None
    return kept


def _write(
    subject: Subject, result: dict[str, Any], outcomes: dict[str, Any], files: dict[str, Any], identity: str
) -> dict[str, Any]:
    """The result as it was written to "file", a name in evaluations/ of "folder"; "files" are folders of drawings."""
    folder = subject.folder / "evaluations"
    mark(subject.folder, "evaluations")
    mark(folder, "evaluations")
    record(folder)
    name = result["probe"] if result["fraction"] == 1 else f"{result['probe']}-{result['fraction']:g}"
    name = name if subject.part == subject.network.kept else f"{name}-{subject.part}"
    stem = f"{name}-{identity[:8]}"
    if outcomes:
        with written_whole(record(folder / f"{stem}.npz")) as draft, draft.open("wb") as file:
            np.savez_compressed(file, **outcomes)
    for who, found in files.items():
        write_files(found, folder / stem / who)
    result = result | {"file": f"{stem}.json"}
    if files:
        result = result | {"files": {who: f"{stem}/{who}" for who in files}}
    write_json(folder / f"{stem}.json", result)
    return result
