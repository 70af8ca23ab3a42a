"""A run folder, a comparison folder or a folder of run folders, as plain values; nothing else is ever opened."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selftaught.core.files import read_object
from selftaught.core.names import short_task

Json = Mapping[str, Any]
Columns = Mapping[str, tuple[float, ...]]
"""A CSV of metrics by column; a cell that is empty or no number is nan."""


GIVEN_WEIGHTS = "given weights"
"""What a page names as the task of an encoder that no run trained."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What the task was shown and what it made of it; a label or prediction is text or an image's path."""

    inputs: tuple[Path, ...]
    pseudo_label: str | Path
    prediction: str | Path


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """A query and the images nearest to it by cosine similarity, in [-1, 1], nearest first."""

    query: Path
    found: tuple[tuple[Path, float], ...]


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """The images of a run; files that the folder lost are left out."""

    samples: tuple[Sample, ...]
    kernels: Path | None
    neighbours: tuple[Neighbours, ...]
    names: Mapping[Path, str] = field(default_factory=dict)
    """Of the data's files that images show."""
    sounds: Mapping[Path, Path] = field(default_factory=dict)
    """Files of the audio that belongs to images."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run folder. Everything but the configuration may still be absent: a run can be read while it goes on."""

    folder: Path
    config: Json
    environment: Json
    summary: Json
    metrics: Columns
    heldout: Columns
    refresh: Columns
    """Metrics of the pseudo-labels at each update."""
    speed: Columns
    skipped: tuple[tuple[str, str], ...]
    pictures: Pictures | None
    evaluations: tuple[Json, ...]
    """Each with the path of its file under "path", and "other_part" where it is of an encoder that is not kept."""

    @property
    def is_given(self) -> bool:
        """Whether there are evaluations of given weights, and no run that trained them."""
        return self.config.get("task") == GIVEN_WEIGHTS

    @property
    def task(self) -> str:
        return short_task(str(self.config.get("task", "?")))

    @property
    def encoder(self) -> str:
        """The architecture of the encoder that the run keeps."""
        further = self.config.get("encoders")
        kept = further.get(str(self.config.get("kept"))) if isinstance(further, Mapping) else None
        return str(kept or self.config.get("encoder", "?"))


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A comparison folder: the table `compare` wrote and the run of each task."""

    folder: Path
    table: Json
    runs: tuple[Run, ...]


@dataclass(frozen=True, kw_only=True)
class Collection:
    """A folder whose sub-folders are runs."""

    folder: Path
    runs: tuple[Run, ...]
    agreement: Json
    """What `selftaught agreement` wrote: whether metrics without labels rank the runs as a probe does."""


def read_folder(folder: Path) -> Run | Comparison | Collection:
    """Whatever of the three `folder` is; ValueError where it is none."""
    if not folder.is_dir():
        raise ValueError(
            f"no folder {str(folder)!r}; give the folder that `selftaught pretrain` or `compare` wrote (--out)"
        )
    if (folder / "compare.json").is_file():
        table = _json(folder / "compare.json")
        names = [str(row.get("run") or row.get("task")) for row in table.get("rows", [])]
        # Only sub-folders: a table from somebody else must not bring other runs of this machine into a page.
        inside = [
            folder / name for name in names if Path(name).name == name and (folder / name / "config.json").is_file()
        ]
        return Comparison(folder=folder, table=table, runs=tuple(map(read_run, inside)))
    if _is_run(folder):
        return read_run(folder)
    inside = sorted(path for path in folder.iterdir() if path.is_dir() and _is_run(path))
    if not inside and (folder / "model.json").is_file():
        raise ValueError(
            f"{str(folder)!r} is a model of fit, which has a card instead of a report; "
            f"`selftaught export {folder} --out card.md` writes it"
        )
    if not inside:
        raise ValueError(
            f"{str(folder)!r} is no run: neither it nor a folder in it holds a config.json, compare.json or "
            "evaluations; give the folder that `selftaught pretrain` or `compare` wrote (--out), or weights that were "
            "evaluated"
        )
    agreement = _json(folder / "label_free_agreement.json")
    return Collection(folder=folder, runs=tuple(map(read_run, inside)), agreement=agreement)


def _is_run(folder: Path) -> bool:
    """Whether it is of a run, or of given weights, of which there are evaluations alone."""
    return (folder / "config.json").is_file() or any((folder / "evaluations").glob("*.json"))


def read_run(folder: Path) -> Run:
    """Read one run folder, or that of given weights."""
    config = _json(folder / "config.json")
    evaluations = _evaluations(folder / "evaluations", str(config.get("kept", "encoder")))
    if not config and evaluations:
        config = {"task": GIVEN_WEIGHTS, "encoder": evaluations[0].get("encoder"), "size": evaluations[0].get("size")}
    return Run(
        folder=folder,
        config=config,
        environment=_json(folder / "environment.json"),
        summary=_json(folder / "summary.json"),
        metrics=_columns(folder / "metrics.csv"),
        heldout=_columns(folder / "heldout.csv"),
        refresh=_columns(folder / "refresh.csv"),
        speed=_columns(folder / "speed.csv"),
        skipped=tuple((r.get("path") or "", r.get("reason") or "") for r in _rows(folder / "skipped.csv")),
        pictures=_pictures(folder / "pictures"),
        evaluations=evaluations,
    )


def _evaluations(folder: Path, kept: str) -> tuple[Json, ...]:
    """All of them, but only once what was measured twice with the same result."""
    found: dict[str, Json] = {}
    for path in sorted(folder.glob("*.json")):
        evaluation = _json(path)
        same = {key: value for key, value in evaluation.items() if key not in ("seconds", "file")}
        part = str(evaluation.get("part", kept))
        other = {"other_part": part} if part != kept else {}
        found.setdefault(json.dumps(same, sort_keys=True), {**evaluation, "path": path, **other})
    return tuple(found.values())


def drawn_folders(evaluation: Json) -> dict[str, Path]:
    """The folder that holds what a probe drew, by whose it is: encoder, random, supervised."""
    path, files = evaluation.get("path"), evaluation.get("files")
    if not isinstance(path, Path) or not isinstance(files, Mapping):
        return {}
    found = {str(who): _within(path.parent, name) for who, name in files.items()}
    return {who: folder for who, folder in found.items() if folder is not None and folder.is_dir()}


def read_index(folder: Path) -> Json:
    """What the drawn images are, index.json; nothing where it is absent."""
    return _json(folder / "index.json")


def picture_in(folder: Path, name: object) -> Path | None:
    """The file of that name below the folder, None where there is none."""
    path = _within(folder, name)
    return path if path is not None and path.is_file() else None


def finite(value: object) -> float | None:
    """The number, or None for everything that is no finite number."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None


def _json(path: Path) -> dict[str, Any]:
    return read_object(path) if path.is_file() else {}


def _rows(path: Path) -> list[dict[str, str | None]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        return list(csv.DictReader(file))


def _columns(path: Path) -> dict[str, tuple[float, ...]]:
    rows = _rows(path)
    names = [name for name in (rows[0] if rows else {}) if name]
    return {name: tuple(_number(row.get(name)) for row in rows) for name in names}


def _number(text: str | None) -> float:
    try:
        return float(text) if text else math.nan
    except ValueError:
        return math.nan


def _pictures(folder: Path) -> Pictures | None:
    index = _json(folder / "pictures.json")
    if not index:
        return None
    samples = []
    for sample in index.get("samples") or []:
        inputs = tuple(p for p in (picture_in(folder, name) for name in sample.get("inputs") or []) if p)
        if inputs:
            label, prediction = (_text_or_picture(folder, sample.get(k)) for k in ("pseudo_label", "prediction"))
            samples.append(Sample(inputs=inputs, pseudo_label=label, prediction=prediction))
    neighbours = []
    for entry in index.get("neighbours") or []:
        query = picture_in(folder, entry.get("query"))
        pairs = [
            (picture_in(folder, n.get("picture")), float(n.get("similarity", math.nan)))
            for n in entry.get("neighbours", [])
        ]
        found = tuple((p, s) for p, s in pairs if p)
        if query and found:  # a single held-out sample has none
            neighbours.append(Neighbours(query=query, found=found))
    told = index.get("about")
    known = {p: v for n, v in (told.items() if isinstance(told, Mapping) else ()) if (p := picture_in(folder, n))}
    about = {path: value for path, value in known.items() if isinstance(value, Mapping)}
    return Pictures(
        samples=tuple(samples),
        kernels=picture_in(folder, index.get("kernels")),
        neighbours=tuple(neighbours),
        names={path: str(value["name"]) for path, value in about.items() if value.get("name")},
        sounds={path: file for path, value in about.items() if (file := picture_in(folder, value.get("sound")))},
    )


def _text_or_picture(folder: Path, value: object) -> str | Path:
    text = "" if value is None else str(value)
    return (picture_in(folder, text) if text.endswith((".png", ".webp")) else None) or text


def _within(folder: Path, name: object) -> Path | None:
    # A run folder may come from somebody else: a page that is shown around must not carry other files of this machine.
    if not isinstance(name, str) or not name:
        return None
    path = (folder / name).resolve()
    return path if path.is_relative_to(folder.resolve()) else None
