"""Tables that come with large sets of clips: those of Kinetics, Something-Something and Moments in Time.

Kinetics: CSV with the columns label, youtube_id, time_start, time_end and split, or JSON of ids; the clips are called
`ID_000010_000020.mp4` or `ID.mp4`. Something-Something: JSON lists of id and template, of the first version CSV of
`id;template`; the clips are `ID.webm`, or folders of frames. Moments in Time: `trainingSet.csv` and
`validationSet.csv` of `class/name.mp4,class,...`.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from selftaught.data.files.file_kinds import is_video
from selftaught.data.files.left_out import MOST_LISTED
from selftaught.data.files.official_splits import OfficialSplit
from selftaught.data.files.splits import Given, given_split

_KINETICS = frozenset(("youtube_id", "time_start", "time_end"))
_NAMES = re.compile(r"[\w.-]*(train|val|test)[\w.-]*\.csv|(something-something|kinetics)[\w.-]*\.json", re.IGNORECASE)
_MOMENTS = re.compile(r"(training|validation|test)set\.csv", re.IGNORECASE)
_FIRST_SOMETHING = re.compile(r"something-something-v1-\w+\.csv", re.IGNORECASE)


@dataclass(frozen=True)
class _Row:
    names: tuple[str, ...]
    """What the clip may be called, without its ending."""
    label: str
    part: Given | None


def may_be_table(name: str) -> bool:
    """Whether a file of this name may be such a table; its content decides."""
    return _NAMES.fullmatch(name) is not None


def read_clip_tables(keys: Sequence[str], texts: Mapping[str, str]) -> OfficialSplit | None:
    """Parts and labels of some videos; None where no text is such a table, or none names one of them.

    Args:
        keys: of the videos.
        texts: files that may be tables, by their names.

    Raises:
        ValueError: where a table of a known kind is damaged.
    """
    rows = [row for name, text in sorted(texts.items()) for row in _rows(name, text)]
    by_name: dict[str, str] = {}
    for key in keys:
        by_name.setdefault(PurePosixPath(key).stem if is_video(key) else key.rpartition("/")[2], key)
    parts: dict[str, Given] = {}
    labels: dict[str, str] = {}
    missing: list[tuple[str, str]] = []
    lost = 0
    for row in rows:
        found = next((by_name[name] for name in row.names if name in by_name), None)
        if found is None:
            lost += 1
            if len(missing) < MOST_LISTED:
                missing.append((row.names[0], "named by a table, but not there"))
            continue
        if row.part is not None:
            parts[found] = row.part
        if row.label:
            labels[found] = row.label
    if not parts and not labels:
        return None
    return OfficialSplit("tables of the data", parts, labels, (), missing, len(rows), lost)


def _rows(name: str, text: str) -> Iterator[_Row]:
    part = _part_of(name)
    try:
        if name.lower().endswith(".json"):
            yield from _of_json(json.loads(text), part)
        elif _MOMENTS.fullmatch(name):
            for cells in csv.reader(io.StringIO(text)):
                if len(cells) > 1:
                    yield _Row((PurePosixPath(cells[0]).stem,), cells[1].strip(), part)
        elif _FIRST_SOMETHING.fullmatch(name):
            for cells in csv.reader(io.StringIO(text), delimiter=";"):
                if cells:
                    yield _Row((cells[0].strip(),), _plain(";".join(cells[1:])), part)
        elif {cell.strip().lower() for cell in next(csv.reader(io.StringIO(text)), [])} >= _KINETICS:
            for row in csv.DictReader(io.StringIO(text)):
                yield _of_kinetics({str(k).strip().lower(): (v or "").strip() for k, v in row.items()}, part)
    except (ValueError, TypeError, KeyError, csv.Error, RecursionError) as broken:
        raise ValueError(f"{name} is a damaged table of clips ({broken}); correct or remove it") from None


def _of_kinetics(row: Mapping[str, str], part: Given | None) -> _Row:
    clip, start, end = row["youtube_id"], float(row["time_start"]), float(row["time_end"])
    exact = f"{clip}_{row['time_start']}_{row['time_end']}"
    return _Row((f"{clip}_{start:06.0f}_{end:06.0f}", exact, clip), row.get("label", ""), _part(row, "split") or part)


def _of_json(content: Any, part: Given | None) -> Iterator[_Row]:
    """Something-Something's lists of clips, or Kinetics' clips by id; nothing of any other content."""
    if isinstance(content, list):
        for clip in content:
            if isinstance(clip, dict) and "id" in clip:
                yield _Row((str(clip["id"]),), _plain(str(clip.get("template", clip.get("label", "")))), part)
    elif isinstance(content, dict):
        for name, clip in content.items():
            if isinstance(clip, dict) and "subset" in clip:
                known = clip.get("annotations") or {}
                start, end = (float(second) for second in known.get("segment", (0, 0)))
                names = (f"{name}_{start:06.0f}_{end:06.0f}", str(name))
                yield _Row(names, str(known.get("label", "")), _part(clip, "subset") or part)


def _plain(template: str) -> str:
    """ "Holding [something]" as people say it."""
    return template.replace("[", "").replace("]", "").strip()


def _part(row: Mapping[str, Any], column: str) -> Given | None:
    word = str(row.get(column, "")).strip().lower()
    return given_split("val" if word.startswith("val") else word)


def _part_of(name: str) -> Given | None:
    found = re.search(r"train|val|test", name.lower())
    return given_split(found[0]) if found else None
