"""Models of fit on the Hugging Face hub: the files of their folder, without where data are on their owner's machine."""

from __future__ import annotations

import csv
import re
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from selftaught.core.own_folder import write_json
from selftaught.encoders.weights.hub import CARD, PREFIX, fetch, repository_of
from selftaught.evaluation.models.card import model_card
from selftaught.evaluation.models.folder import (
    FACTS,
    HELD_BACK,
    WEIGHTS,
    Facts,
    as_json,
    is_model,
    read_facts,
    read_weights,
)
from selftaught.evaluation.push import upload

MODEL = "model that 'selftaught push' wrote; give the --out of a fit command"
FRONT = "---\nlibrary_name: selftaught\npipeline_tag: {pipeline}\ntags:\n- self-supervised-learning\n---\n\n"
PIPELINES = {"classes": "image-classification", "boxes": "object-detection", "masks": "image-segmentation"}


def push_model(folder: str | Path, name: str, *, private: bool) -> dict[str, Any]:
    """Write a model to the repository OWNER/NAME, which is created where it is absent.

    Returns:
        "repository", its "url", the "files", the "encoder" and the number of "classes".
    """
    facts = _without_places(read_facts(folder))
    read_weights(folder)  # a damaged one is refused
    with tempfile.TemporaryDirectory(prefix="selftaught-") as place:
        draft = Path(place)
        write_json(draft / FACTS, as_json(facts))
        shutil.copyfile(Path(folder) / WEIGHTS, draft / WEIGHTS)
        _copy_rows(Path(folder) / HELD_BACK, draft / HELD_BACK)
        front = FRONT.format(pipeline=PIPELINES[facts.kind])
        (draft / CARD).write_text(front + model_card(facts, f"{PREFIX}{name}"), encoding="utf-8")
        files = sorted(file.name for file in draft.iterdir())
        url = upload(draft, name, private=private, message=f"model of {facts.network['encoder']} by selftaught")
    about = {"encoder": facts.network["encoder"], "classes": len(facts.classes)}
    return {"repository": name, "url": url, "files": files} | about


def model_folder(model: str | Path, *, download: bool) -> Path:
    """The folder of a model, which hf:OWNER/NAME is fetched to where that is allowed."""
    name = None if Path(model).exists() else repository_of(str(model))
    if name is None:
        return Path(model)
    files = [fetch(name, file, download=download, what=MODEL) for file in (FACTS, WEIGHTS, HELD_BACK)]
    return files[0].parent


def model_among(what: str | Path, *, download: bool) -> Path | None:
    """The folder of a model, if that is what a folder or hf:OWNER/NAME is; None for runs and encoders."""
    if Path(what).exists() or (name := repository_of(str(what))) is None:
        return Path(what) if is_model(Path(what)) else None
    try:
        fetch(name, FACTS, download=download, what=MODEL)
    except ValueError:  # an encoder, or nothing, which is said where it is opened
        return None
    return model_folder(what, download=download)


def _without_places(facts: Facts) -> Facts:
    """Data and run by the names of their folders alone; notes too."""
    path = str(facts.data.get("path", ""))
    name = PurePath(path).name
    notes = [str(note).replace(path, name) if path else note for note in facts.data.get("notes", [])]
    of = facts.encoder_of  # a run folder, or ENCODER:FILE, whose encoder stays
    encoder_of = of if of.startswith(PREFIX) else re.sub(r"[^:]*/", "", of)
    return replace(facts, data=facts.data | {"path": name, "notes": notes}, encoder_of=encoder_of)


def _copy_rows(source: Path, target: Path) -> None:
    """held_back.csv with numbers in place of the paths, which only their owner can use."""
    with source.open(newline="", encoding="utf-8") as file, target.open("w", newline="", encoding="utf-8") as copy:
        rows = list(csv.DictReader(file))
        if rows:
            writer = csv.DictWriter(copy, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(row | {"path": str(number)} for number, row in enumerate(rows, 1))
