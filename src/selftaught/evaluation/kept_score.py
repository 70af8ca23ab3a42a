"""A score on disk: its metrics as JSON, what each sample adds to it as NumPy, its images in a folder."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from selftaught.core.files import flush_together, read_object, written_whole
from selftaught.core.own_folder import record, write_json
from selftaught.data.decode.npy import load_npy
from selftaught.evaluation.probes.base import Score

ARRAYS = ("outcomes", "resampled")
"""Fields of a score that are kept as NumPy files."""
UNKEPT = (*ARRAYS, "files", "groups", "stage_outcomes", "stage_resampled")
"""Fields that are not in its JSON."""


def figures(score: Score) -> dict[str, Any]:
    """The metrics as JSON has them; a value that does not exist (nan) is null."""
    values = {f.name: getattr(score, f.name) for f in dataclasses.fields(score) if f.name not in UNKEPT}
    values["value"] = None if math.isnan(score.value) else score.value
    plain: dict[str, Any] = json.loads(json.dumps(values))
    return plain


def write_files(files: Mapping[str, bytes], folder: Path) -> None:
    """Write the files into `folder`, which holds nothing else afterwards; no folder where there are none."""
    shutil.rmtree(folder, ignore_errors=True)
    if not files:
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        with written_whole(record(folder / name), flush=False) as draft:
            draft.write_bytes(data)
    flush_together(folder, files)


def keep_score(score: Score, folder: Path, key: str) -> None:
    """Write the score under that key; the JSON comes last, so that it stands for the whole."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ARRAYS:
        if (values := getattr(score, name)) is not None:
            with written_whole(folder / f"{key}-{name}.npy") as draft, draft.open("wb") as file:
                np.save(file, values)
    write_files(score.files, folder / key)
    write_json(folder / f"{key}.json", figures(score))


def kept_score(folder: Path, key: str) -> Score | None:
    """The score of that key, None where none is kept or what is kept is damaged."""
    path, files = folder / f"{key}.json", folder / key
    if not path.is_file():
        return None
    try:
        known = read_object(path)
        known["value"] = math.nan if known["value"] is None else known["value"]
        files_of = {name: folder / f"{key}-{name}.npy" for name in ARRAYS}
        arrays: dict[str, Any] = {name: load_npy(file) for name, file in files_of.items() if file.is_file()}
        return Score(
            **known,
            **arrays,
            files={file.name: file.read_bytes() for file in sorted(files.iterdir())} if files.is_dir() else {},
        )
    except (ValueError, KeyError, TypeError):  # a file cut or written over by another program
        return None
