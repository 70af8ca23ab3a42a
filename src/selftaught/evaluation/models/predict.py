"""A model on new data: one row for each image or video, in a file."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from selftaught.core.devices import compute_device
from selftaught.core.files import check_out, written_whole
from selftaught.core.names import printable, text_cell
from selftaught.core.plain import same_place
from selftaught.core.progress import say_once
from selftaught.core.settings.groups import DataSettings
from selftaught.data.files.file_tree import lost_files, told_lost
from selftaught.data.sources.stacks.file_images import file_of
from selftaught.data.store.samples import Samples, groups_of
from selftaught.evaluation.embed import all_samples, label_names
from selftaught.evaluation.metrics.calibration import Threshold, grouped_interval, threshold_for
from selftaught.evaluation.metrics.intervals import groups_said
from selftaught.evaluation.models.folder import Facts, load_classes, read_facts, read_held_back
from selftaught.evaluation.models.network import logits_of

FORMS = {".csv": "csv", ".parquet": "parquet"}
"""By the ending of the file."""
CANNOT_TELL = "cannot tell"
"""In place of a class where the probability is below the threshold."""
MOST_ERROR = 1.0
LIST_COLUMNS = ("path", "reason")
"""Of the list of files that could not be read."""


def threshold_of(model: str | Path, error: float | None, facts: Facts | None = None) -> Threshold | None:
    """The threshold that keeps to this share of wrong answers on held-back data; None where none is asked for."""
    if error is None:
        return None
    if not 0 <= error < MOST_ERROR:
        raise ValueError(f"--error must be at least 0 and below 1, the share of wrong answers, got {error:g}")
    facts = read_facts(model) if facts is None else facts
    if CANNOT_TELL in facts.classes:
        raise ValueError(f"--error answers {CANNOT_TELL!r}, which is a class of {model}; name that class otherwise")
    held = read_held_back(model, facts)
    return threshold_for(held.confidence, held.right, error, held.groups)


def said_of(threshold: Threshold) -> dict[str, Any]:
    """What the result says of a threshold."""
    return {
        "threshold": round(threshold.confidence, 6),
        "held_back_error": threshold.error,
        "held_back_error_interval": list(threshold.interval),
        "held_back_answered": threshold.answered,
    }


def predict_classes(
    model: str | Path,
    facts: Facts,
    reading: DataSettings,
    out: str | Path,
    *,
    error: float | None = None,
    per_file: bool = False,
    split: str = "all",
    accelerator: str = "auto",
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write class and probability of every sample; see `selftaught.predict`."""
    if per_file and error is not None:
        raise ValueError(
            "--error is measured on single images, not on the mean of a file that --per-file gives; leave out one"
        )
    path = check_out(out, FORMS, overwrite=overwrite)
    check_list(path, overwrite=overwrite)
    threshold = threshold_of(model, error, facts)
    network, device = load_classes(model, facts), compute_device(accelerator)
    found: list[_Answer] = []
    skipped: dict[str, str] = {}
    notes: dict[str, None] = {}
    for part, (samples, said) in enumerate(all_samples(network.encoder, reading, split, facts.network["size"])):
        notes |= dict.fromkeys(said)
        skipped |= {key: why for key, why in samples.skipped if lost_files([(key, why)])}
        probabilities = logits_of(network, samples, device).softmax(1).numpy()
        found += map(_Answer, samples.keys, label_names(samples), probabilities, _groups(samples, part))
    if per_file:
        found = _of_files(found)
    found.sort(key=lambda one: printable(one.key))
    rows = [
        _row(one.key, one.label, facts.classes[one.probabilities.argmax()], float(one.probabilities.max()), threshold)
        for one in found
    ]
    if skipped:
        say_once(told_lost(sorted(skipped.items()), reading.path))
    result = _result(path, rows, [one.group for one in found], threshold)
    for note in [*_notes(rows, reading, facts), *_of_groups(result)]:
        say_once(note)
        notes[note] = None
    write_table(path, _without_empty(rows))
    listed = write_skipped(path, skipped)
    return result | {"skipped": len(skipped), "skipped_list": listed, "notes": list(notes)}


class _Answer(NamedTuple):
    """Probabilities (K,) of a sample with its label and the group it belongs to."""

    key: str
    label: str | None
    probabilities: NDArray[np.float32]
    group: tuple[int | str, ...]


def _groups(samples: Samples, part: int) -> list[tuple[int | str, ...]]:
    """The group of each sample: as the data say, else the file, whose pages and tiles belong together."""
    numbers = groups_of(samples)
    if numbers is None:
        return [(file_of(key),) for key in samples.keys]
    return [(part, number) for number in numbers.tolist()]


def _of_files(images: Sequence[_Answer]) -> list[_Answer]:
    """Of each file the mean probabilities (K,) of its images or tiles, and the label that all of them have."""
    grouped: dict[str, list[_Answer]] = {}
    for one in images:
        grouped.setdefault(file_of(one.key), []).append(one)
    return [
        _Answer(
            file,
            of[0].label if len({one.label for one in of}) == 1 else None,
            np.mean([one.probabilities for one in of], 0),
            of[0].group,
        )
        for file, of in grouped.items()
    ]


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows of the same columns as CSV or Parquet by the ending, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = list(rows[0]) if rows else ["path"]
    with written_whole(path) as draft:
        if path.suffix.lower() == ".parquet":
            pq.write_table(pa.table({name: [row[name] for row in rows] for name in columns}), draft)
            return
        with draft.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows([_cell(row[name]) for name in columns] for row in rows)


def check_list(path: Path, *, overwrite: bool) -> None:
    """Refuse to replace a file that has the name of the list of skipped files, and is none."""
    listed = _list_beside(path)
    if overwrite or not os.path.lexists(listed):
        return
    with suppress(OSError), listed.open("rb") as file:
        if file.readline(100).strip() == ",".join(LIST_COLUMNS).encode():
            return
    raise ValueError(
        f"--out {path} lists files that cannot be read in {listed.name}, and a file of that name is there that is no "
        "such list; give another name, or --overwrite to replace it"
    )


def write_skipped(path: Path, skipped: Mapping[str, str]) -> str | None:
    """List the files that could not be read beside the table of the others; the list's path, None where there are none.

    A list of an earlier table of that name goes.
    """
    listed = _list_beside(path)
    if not skipped:
        listed.unlink(missing_ok=True)
        return None
    rows = [(printable(key), printable(why)) for key, why in sorted(skipped.items())]
    write_table(listed, [dict(zip(LIST_COLUMNS, row, strict=True)) for row in rows])
    return str(listed)


def _list_beside(path: Path) -> Path:
    return path.with_name(f"{path.stem}-skipped.csv")


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return text_cell(value)
    return "" if value is None else f"{value:.6f}" if isinstance(value, float) else value


def _row(key: str, label: str | None, found: str, probability: float, threshold: Threshold | None) -> dict[str, Any]:
    """One sample; "class" is what may be answered, "most_probable" what is most probable anyway."""
    # The threshold is of probabilities as held_back.csv has them.
    is_told = threshold is None or round(probability, 6) >= threshold.confidence
    row = {"path": printable(key), "class": found if is_told else CANNOT_TELL, "probability": probability}
    if threshold is not None:
        row["most_probable"] = found
    return row | {"label": label}


def _without_empty(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Without the column of labels, where no sample has one."""
    has_labels = any(row["label"] is not None for row in rows)
    return [{name: value for name, value in row.items() if has_labels or name != "label"} for row in rows]


def _notes(rows: Sequence[Mapping[str, Any]], reading: DataSettings, facts: Facts) -> list[str]:
    """What limits the accuracy on the data's own labels."""
    labels = Counter(row["label"] for row in rows if row["label"] is not None)
    notes = []
    if labels and same_place(reading.path, str(facts.data.get("path", ""))):
        notes.append(
            f"the model was fitted to labels of {reading.path}, so that the accuracy there is not that on new data; "
            "model.json has the one on held-back labels"
        )
    if unknown := sorted(labels.keys() - set(facts.classes)):
        count = sum(labels[name] for name in unknown)
        shown = ", ".join(unknown[:3]) + (" ..." if len(unknown) > 3 else "")
        notes.append(f"{count} of {labels.total()} labels are of classes that the model does not know ({shown})")
    return notes


def _of_groups(said: Mapping[str, Any]) -> list[str]:
    """What the interval of the accuracy is worth, where samples belong together."""
    return [groups_said(said["groups"], said["labelled"])] if "groups" in said else []


def _result(
    path: Path, rows: Sequence[Mapping[str, Any]], groups: Sequence[Hashable], threshold: Threshold | None
) -> dict[str, Any]:
    """What is printed; `groups` are those of the rows, over which the interval is."""
    counts = Counter(row["class"] for row in rows)
    found: dict[str, Any] = {"out": str(path), "samples": len(rows)}
    known = [(row, group) for row, group in zip(rows, groups, strict=True) if row["label"] is not None]
    if threshold is not None:
        found |= said_of(threshold) | {"cannot_tell": counts.pop(CANNOT_TELL, 0)}
        known = [(row, group) for row, group in known if row["class"] != CANNOT_TELL]
    if known:
        right = np.array([row["class"] == row["label"] for row, _ in known])
        number = {group: i for i, group in enumerate(dict.fromkeys(group for _, group in known))}
        interval = grouped_interval(right, np.array([number[group] for _, group in known]))
        found |= {"labelled": len(known), "accuracy": round(100 * float(right.mean()), 3), "interval": list(interval)}
        found |= {"groups": len(number)} if len(number) < len(known) else {}
    return found | {"classes": dict(counts.most_common())}
