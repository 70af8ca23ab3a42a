"""A model card in Markdown (Mitchell et al., FAT* 2019), from model.json alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from selftaught.evaluation.models.folder import Facts
from selftaught.evaluation.models.semantics import BELOW, outputs_said, reading_said
from selftaught.evaluation.models.worth import interval_said

METRICS = {"accuracy": "accuracy", "balanced_accuracy": "mean of the accuracies of the classes", "map": "mean average "
           "precision", "miou": "mean intersection over union", "pixel_accuracy": "accuracy of pixels"}  # fmt: skip
KINDS = {"classes": "one class for each image or video", "boxes": "boxes of objects", "masks": "a class for each pixel"}
BY_CLASS = {"classes": "accuracy", "boxes": "average precision", "masks": "intersection over union"}
RULES = {"voc": "at an overlap of 0.5, as PASCAL VOC has it", "coco": "over overlaps from 0.5 to 0.95, as COCO has it"}
MOST_CLASSES = 100
"""Rows of the table of classes at most."""
LICENCE = "_Not stated yet. Say here under which licence the model may be used, and which one its data have._"


def model_card(facts: Facts, name: str = "MODEL") -> str:
    """The card; what only its user knows is marked as not stated. `name` is what predict is given."""
    sections = {
        "": _head(facts, name),
        "Data": _data(facts),
        "Results": _results(facts),
        "Calibration": _calibration(facts),
        "Classes": _classes(facts),
        "Outputs": _outputs(facts),
        "Training": _training(facts),
        "Limits": _limits(facts),
        "Licence": [LICENCE],
    }
    text = [line for title, lines in sections.items() if lines for line in (*_titled(title), *lines, "")]
    return "\n".join(text)


def _titled(title: str) -> list[str]:
    return [f"## {title}", ""] if title else []


def _head(facts: Facts, name: str) -> list[str]:
    network = facts.network
    return [
        f"# Model of {len(facts.classes)} classes",
        "",
        f"Predicts {KINDS[facts.kind]}. The encoder is `{network['encoder']}`, which sees {_seen(facts)}, from "
        f"`{facts.encoder_of}`. Fitted by selftaught {facts.version}.",
        "",
        f"    selftaught predict {name} DATA --out "
        + {"classes": "predictions.csv", "boxes": "boxes.json", "masks": "masks/"}[facts.kind],
    ]


def _seen(facts: Facts) -> str:
    side = facts.network["size"]
    if facts.kind == "classes":
        return f"{side} x {side} pixels"
    side = facts.head["settings"].get("size", side)
    return f"images with a short side of {side} pixels" + (", in square windows" if facts.kind == "masks" else "")


def _data(facts: Facts) -> list[str]:
    data = facts.data
    test = f", and {data['test']:,} of its own test part, which chose nothing" if data.get("test") else ""
    lines = [f"`{data['path']}`: {data['labels']:,} labelled samples to learn from{test}. "
             f"{data.get('skipped', 0)} files could not be read."]  # fmt: skip
    lines += [part for line in reading_said(facts.reading) for part in ("", f"{line}.")]
    return lines + [f"- {note}" for note in data.get("notes", [])]


def _results(facts: Facts) -> list[str]:
    lines = ["| measured on | metric | value | 95 % interval |", "|---|---|---|---|"]
    for where, found in (("held-back labels", facts.held_back), ("test part", facts.test or {})):
        place = f"{where} ({found['is']})" if found.get("is") else where
        lines += _rows(place, found)
    said = interval_said(facts.test or facts.held_back)
    lines += _rows("the same, with random weights of the encoder", facts.random)
    if facts.gain:
        low, high = facts.gain["interval"]
        lines += ["", f"Difference to random weights: {facts.gain['value']:+.1f} points ({low:.1f} to {high:.1f})."]
    if facts.kind != "classes":
        lines += ["", _metric_said(facts.held_back)]
    return [*lines, *(["", f"{said[0].upper()}{said[1:]}."] if said else [])]


def _metric_said(found: Mapping[str, Any]) -> str:
    """How boxes and masks were measured, and what else was found."""
    drawn = f"{found['groups']} groups of the {found['samples']:,}" if "groups" in found else f"{found['samples']:,}"
    over = f"Intervals are over resamplings of the {drawn} test images (bootstrap)."
    if "map" in found:
        coco = found.get("coco", {})
        also = f" By COCO's rule: {coco['ap']:.1f} %, at an overlap of 0.75 {coco['ap75']:.1f} %." if coco else ""
        return f"Average precision is {RULES[found.get('rule', 'voc')]}.{also} {over}"
    if "commonest_class" not in found:
        return over
    return (
        f"Saying that every pixel is of the commonest class reaches {found['commonest_class']:.1f} % mean intersection "
        f"over union. {over}"
    )


def _rows(place: str, found: Mapping[str, Any]) -> list[str]:
    rows = []
    for name, words in METRICS.items():
        if found.get(name) is not None:
            interval = found.get("interval") if name in ("accuracy", "map", "miou") else None
            within = f"{interval[0]:.1f} to {interval[1]:.1f}" if interval else ""
            rows.append(f"| {place} | {words} | {found[name]:.1f} % | {within} |")
    return rows


def _calibration(facts: Facts) -> list[str]:
    found = facts.calibration
    if not found:
        return []
    after = (
        "after it not known, as all of them belong to one group"
        if found["ece_after"] is None
        else f"{found['ece_after']:.1f} % after, measured on labels that the temperature was not fitted to"
    )
    return [
        f"Logits are divided by a temperature of {found['temperature']:.3f}, fitted to {found['samples']:,} held-back "
        f"labels. Expected calibration error: {found['ece_before']:.1f} % before, {after}."
    ]


def _classes(facts: Facts) -> list[str]:
    counts = facts.data.get("by_class") or facts.held_back.get("boxes", {})
    counted = "test boxes" if facts.kind == "boxes" else "labels"
    by_class = (facts.test or facts.held_back).get("by_class") or {}
    columns = ["number", "class", *([counted] if counts else []), BY_CLASS[facts.kind]]
    lines = [_line(columns), "|---" * len(columns) + "|"]
    for number, name in enumerate(facts.classes[:MOST_CLASSES]):
        value = by_class.get(name)
        cells = [number, name.replace("|", "\\|"), *([counts.get(name, "")] if counts else [])]
        lines.append(_line([*cells, "" if value is None else f"{value:.1f} %"]))
    more = len(facts.classes) - MOST_CLASSES
    return [*lines, *(["", f"and {more} more"] if more > 0 else [])]


def _line(cells: Sequence[object]) -> str:
    """A row of a table."""
    return f"| {' | '.join(map(str, cells))} |"


def _outputs(facts: Facts) -> list[str]:
    """Of an ONNX file of the model, and of predict."""
    lines = [f"- `{name}`: {text}" for name, text in outputs_said(facts).items()]
    return ["Of the ONNX file that export writes:", "", *lines, "", f"With `--error`, {BELOW[facts.kind]}."]


def _training(facts: Facts) -> list[str]:
    return [f"- {name.replace('_', ' ')}: {_said(value)}" for name, value in facts.fitted.items()]


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_said(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return "; ".join(map(_said, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _limits(facts: Facts) -> list[str]:
    return [
        "Results hold for data like those above; on other cameras, places or people they may be lower. Every sample is "
        f"given one of the {len(facts.classes)} classes, also one that shows none of them."
        if facts.kind == "classes"
        else "Results hold for data like those above; on other cameras, places or people they may be lower.",
    ]
