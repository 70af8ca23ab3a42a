"""An encoder and data become a folder of suggestions: tables, thumbnails, and suggestions.json for the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from selftaught.core.devices import compute_device
from selftaught.core.files import check_out_folder, written_whole
from selftaught.core.names import printable
from selftaught.core.own_folder import is_kind, is_own, others_in, record, write_json, written_folder
from selftaught.core.progress import say_once, working
from selftaught.core.settings.groups import DataSettings
from selftaught.data.files.file_tree import lost_files, told_lost
from selftaught.data.store.samples import Samples
from selftaught.evaluation.embed import all_samples, label_names
from selftaught.evaluation.fit.softmax_regression import STRENGTHS, softmax_path
from selftaught.evaluation.fit.targets import deal_folds
from selftaught.evaluation.metrics.calibration import log_loss
from selftaught.evaluation.models.folder import load_classes, read_facts
from selftaught.evaluation.models.network import logits_of
from selftaught.evaluation.models.predict import write_table
from selftaught.evaluation.subject import Subject
from selftaught.evaluation.suggest.choose import Way, choose, margins
from selftaught.evaluation.suggest.review import label_errors, near_duplicates, outliers
from selftaught.evaluation.visualise.thumbnails import picture_files
from selftaught.features.encode import CLIPS, all_features

FACTS = "suggestions.json"
KIND = "suggestions"
"""What its folder is marked as."""
SHOWN = 60
"""Entries of each list that have thumbnails."""
CANDIDATES = 10
"""Times as many samples as are asked for, of which the model is least sure, are chosen from."""
THUMBNAIL = 16
"""Side of what near duplicates are compared by, pixels."""
FOLDS = 5
OUTLIERS = 50
"""Most that are listed."""

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Looked:
    """All samples of the data, N of them, in the order of their paths.

    Attributes:
        parts: the samples, and which of them (N, 2) each is: number of the part, row in it.
        labels: (N,) class numbers, -1 where there is none.
        vectors: (N, D) pooled features.
    """

    parts: Sequence[Samples]
    place: NDArray[np.int64]
    keys: list[str]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    vectors: NDArray[np.float32]
    skipped: Mapping[str, str]


def suggest_labels(
    subject: Subject,
    reading: DataSettings,
    out: str | Path,
    *,
    count: int,
    way: Way,
    model: str | Path | None,
    seed: int,
    accelerator: str,
    overwrite: bool,
    page: Callable[[Path], Path],
) -> Json:
    """Write the folder of suggestions and its `page`, which is given the folder; see `selftaught.suggest`."""
    if count < 1:
        raise ValueError(f"--count must be at least 1, got {count}")
    path = _check_out(out, overwrite=overwrite)
    facts = None if model is None else read_facts(model)
    network = None if facts is None or model is None else load_classes(model, facts)
    device = compute_device(accelerator)
    with working("computing features"):
        looked = look(subject, reading, device)
    probabilities = None
    if network is not None:
        logits = torch.cat([logits_of(network, part, device) for part in looked.parts])
        probabilities = logits.softmax(1).double().numpy()[_order(looked)]
    lists = {
        "next": _next(looked, count, way, seed, probabilities, () if facts is None else facts.classes),
        "duplicates": _duplicates(looked),
        "outliers": _outliers(looked),
        "label_errors": _label_errors(looked, seed, device),
    }
    if note := _note(looked, len(lists["label_errors"])):
        say_once(note)
    if told := told_lost(sorted(looked.skipped.items()), reading.path):
        say_once(told)
    with written_folder(path, KIND) as draft:
        found = _write(draft, looked, lists, _about(subject, reading, looked, count, way, model) | {"note": note})
        report = path / page(draft).name
    return {"out": str(path), **found, "report": str(report)}


def _note(looked: Looked, errors: int) -> str:
    """What to do where every sample has a label; empty where one has none."""
    if (looked.labels < 0).any():
        return ""
    review = f", or review the {errors:,} likely label errors in label_errors.csv" if errors else ""
    return (
        f"all {len(looked.keys):,} samples have a label, so that none is suggested; give data with unlabelled files "
        f"too, such as a folder whose labels.csv names only some of them{review}"
    )


def look(subject: Subject, reading: DataSettings, device: torch.device) -> Looked:
    """Every sample of the data with its features."""
    size = subject.network.size
    parts = [samples for samples, _ in all_samples(subject.encoder, reading, "all", size)]
    vectors = [all_features(subject.encoder, part, size=size, device=device, clips=CLIPS).numpy() for part in parts]
    if not all(np.isfinite(one).all() for one in vectors):
        raise ValueError(f"features of {subject.name} are not finite; its training diverged, lower its --lr")
    keys = [key for part in parts for key in part.keys]
    names = [name for part in parts for name in label_names(part)]
    order = sorted(range(len(keys)), key=lambda i: keys[i])
    classes = tuple(sorted({name for name in names if name is not None}))
    numbers = {name: i for i, name in enumerate(classes)}
    place = [(number, row) for number, part in enumerate(parts) for row in range(len(part))]
    return Looked(
        parts=parts,
        place=np.array(place, np.int64)[order],
        keys=[keys[i] for i in order],
        labels=np.array([-1 if (name := names[i]) is None else numbers[name] for i in order], np.int64),
        classes=classes,
        vectors=np.concatenate(vectors)[order],
        skipped={key: why for part in parts for key, why in part.skipped if lost_files([(key, why)])},
    )


def out_of_fold(
    vectors: NDArray[np.float32], labels: NDArray[np.int64], num_classes: int, seed: int, device: torch.device
) -> NDArray[np.float64]:
    """Probabilities (N, K) by softmax regression on the other four fifths of the samples, at the best strength."""
    targets = (labels[:, None] == np.arange(num_classes)).astype(np.int8)
    fold = deal_folds(targets, min(FOLDS, len(labels)), seed)
    x, y = torch.from_numpy(vectors).to(device), torch.from_numpy(labels).to(device)
    found = np.zeros((len(STRENGTHS), len(labels), num_classes))
    for k in np.unique(fold):
        held = torch.from_numpy(fold == k).to(device)
        for i, layer in enumerate(softmax_path(x[~held], y[~held], num_classes)):
            found[i, fold == k] = layer.scores(x[held]).double().cpu().numpy()
    best = found[int(np.argmin([log_loss(logits, labels) for logits in found]))]
    probabilities: NDArray[np.float64] = F.softmax(torch.from_numpy(best), dim=1).numpy()
    return probabilities


def _order(looked: Looked) -> NDArray[np.int64]:
    """(N,) the number of each sample where the parts follow one another."""
    starts = np.cumsum([0, *(len(part) for part in looked.parts)])
    return np.asarray(starts[looked.place[:, 0]] + looked.place[:, 1])


def _next(
    looked: Looked,
    count: int,
    way: Way,
    seed: int,
    probabilities: NDArray[np.float64] | None,
    classes: Sequence[str],
) -> list[Json]:
    known = np.flatnonzero(looked.labels >= 0)
    if len(known) == len(looked.keys):
        return []
    if probabilities is None:
        rows = choose(looked.vectors, count, way=way, known=known, seed=seed)
        return [{"rank": i, **_entry(looked, row)} for i, row in enumerate(rows, 1)]
    margin = margins(probabilities)
    free = np.flatnonzero(looked.labels < 0)
    kept = np.sort(free[np.argsort(margin[free], kind="stable")[: CANDIDATES * count]])
    rows = kept[choose(looked.vectors[kept], count, way=way, seed=seed)]
    best = probabilities.argmax(1)
    return [
        {"rank": i, **_entry(looked, row), "margin": round(float(margin[row]), 4), "predicted": classes[best[row]]}
        for i, row in enumerate(rows, 1)
    ]


def _duplicates(looked: Looked) -> list[Json]:
    if len(looked.keys) < 2 or (thumbnails := _thumbnails(looked)) is None:
        return []
    return [
        {**_entry(looked, pair.first), "other": printable(looked.keys[pair.second]),
         "other_label": _label(looked, pair.second), "similarity": round(pair.similarity, 4)}
        for pair in near_duplicates(looked.vectors, thumbnails)
    ]  # fmt: skip


def _outliers(looked: Looked) -> list[Json]:
    if len(looked.keys) < 3:
        return []
    rows, distance = outliers(looked.vectors, min(OUTLIERS, max(1, len(looked.keys) // 50)))
    return [{**_entry(looked, row), "distance": round(float(far), 4)} for row, far in zip(rows, distance, strict=True)]


def _label_errors(looked: Looked, seed: int, device: torch.device) -> list[Json]:
    known = np.flatnonzero(looked.labels >= 0)
    labels = looked.labels[known]
    if (np.bincount(labels, minlength=2) >= 2).sum() < 2:  # no class could be learned from the others
        return []
    probabilities = out_of_fold(looked.vectors[known], labels, len(looked.classes), seed, device)
    found = []
    for i in label_errors(probabilities, labels):
        likely = int(probabilities[i].argmax())
        entry = _entry(looked, known[i]) | {"likely": looked.classes[likely]}
        found.append(entry | {"probability": round(float(probabilities[i, likely]), 4),
                              "probability_of_label": round(float(probabilities[i, labels[i]]), 4)})  # fmt: skip
    return found


def _entry(looked: Looked, row: int) -> Json:
    return {"path": printable(looked.keys[row]), "label": _label(looked, row)}


def _label(looked: Looked, row: int) -> str | None:
    return None if looked.labels[row] < 0 else printable(looked.classes[looked.labels[row]])


def _thumbnails(looked: Looked) -> NDArray[np.float32] | None:
    """(N, 256) grey values of small squares; None for samples without images."""
    found = []
    for part in looked.parts:
        views = part.eval_draws(len(part), 1)[0]
        for start in range(0, len(part), 64):
            rows = np.arange(start, min(start + 64, len(part)))
            host = part.read(rows, views[rows])
            seen = next((one for one in host.inputs.values() if one.ndim >= 4), None)
            if seen is None:
                return None
            frames = seen if seen.ndim == 4 else seen[:, seen.shape[1] // 2]
            grey = torch.from_numpy(frames.mean(-1, dtype=np.float32))[:, None]
            found.append(F.adaptive_avg_pool2d(grey, THUMBNAIL).flatten(1).numpy())
    thumbnails: NDArray[np.float32] = np.concatenate(found)[_order(looked)]
    return thumbnails


def _check_out(out: str | Path, *, overwrite: bool) -> Path:
    check_out_folder(out)
    path = Path(out)
    if path.exists() and (others := others_in(path)):
        if is_kind(path, KIND) and not (path / FACTS).is_file():
            return path  # a killed process began it
        if not (is_own(path) and (path / FACTS).is_file()):
            raise ValueError(
                f"--out {path} holds other files, which are no suggestions (such as {others[0]}); give a new or empty "
                "folder"
            )
        if not overwrite:
            raise ValueError(
                f"--out {path} already holds suggestions; give another folder, or --overwrite to replace them"
            )
    return path


def _about(
    subject: Subject, reading: DataSettings, looked: Looked, count: int, way: Way, model: str | Path | None
) -> Json:
    return {
        "run": subject.name,
        "encoder": subject.encoder.name,
        "data": reading.path,
        "model": None if model is None else str(model),
        "way": way,
        "count": count,
        "samples": len(looked.keys),
        "labelled": int((looked.labels >= 0).sum()),
        "skipped": len(looked.skipped),
    }


def _write(path: Path, looked: Looked, lists: Mapping[str, list[Json]], about: Json) -> Json:
    """A table for each list, thumbnails of what is shown, and the facts."""
    rows = {printable(key): i for i, key in enumerate(looked.keys)}
    shown = {name: entries[:SHOWN] for name, entries in lists.items()}
    wanted = sorted(
        {rows[str(e[k])] for entries in shown.values() for e in entries for k in ("path", "other") if k in e}
    )
    files: dict[int, str] = {}
    for number, part in enumerate(looked.parts):
        here = [row for row in wanted if looked.place[row, 0] == number]
        if not here:
            continue
        drawn = picture_files(part, looked.place[here, 1], f"sample{number}")
        for row in here:
            if (found := drawn.get(int(looked.place[row, 1]))) is not None:
                name, data = found
                place = path / "thumbnails" / name
                place.parent.mkdir(exist_ok=True)
                with written_whole(record(place), flush=False) as draft:
                    draft.write_bytes(data)
                files[row] = f"thumbnails/{name}"
    pictures = {key: files[row] for key, row in rows.items() if row in files}
    for name, entries in lists.items():
        write_table(record(path / f"{name}.csv"), entries)
    write_json(
        path / FACTS, about | {"lists": shown, "counts": {n: len(e) for n, e in lists.items()}, "files": pictures}
    )
    counts = {"suggested" if name == "next" else name: len(entries) for name, entries in lists.items()}
    result = {"samples": about["samples"], "labelled": about["labelled"], **counts}
    noted = {"note": about["note"]} if about["note"] else {}
    return {**result, "skipped": about["skipped"], **noted, "lists": dict(lists)}
