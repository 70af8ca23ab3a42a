"""A model on disk: model.json, weights.safetensors, and held_back.csv by which thresholds are chosen."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from selftaught.core.files import check_out_folder, read_object, told_as, written_whole
from selftaught.core.names import printable, text_cell
from selftaught.core.own_folder import LIST, is_own, mark, others_in, record, remove_own, write_json
from selftaught.core.settings.groups import DataSettings, NetworkSettings
from selftaught.core.signals import undisturbed
from selftaught.core.tensor_file import write_tensors
from selftaught.encoders.base import Encoder
from selftaught.evaluation.models.network import ClassModel, LinearHead
from selftaught.evaluation.vectors.folder import alone_in
from selftaught.training.encoder_of_run import random_encoder

FACTS, WEIGHTS, HELD_BACK = "model.json", "weights.safetensors", "held_back.csv"
FORMAT = 1
"""Of model.json."""
KINDS: Mapping[str, Collection[str]] = {
    "classes": ("stage", "dims"), "boxes": ("settings", "seed"), "masks": ("settings", "seed")
}  # fmt: skip
"""What a model may find -> what its `Facts.head` holds."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What model.json says.

    Attributes:
        kind: "classes", "boxes" or "masks".
        network: encoder, size, stem and clip_seen of `NetworkSettings`.
        reading: the fields `models.reading.KEPT` of `DataSettings`.
        head: what the network needs to be built beside the encoder.
        fitted: how it was fitted: method and what it chose.
        data: what it was fitted to: path, number of labels of each class.
        held_back, test, random, gain, calibration: metrics; see `fit_classes`.
    """

    kind: str
    classes: tuple[str, ...]
    network: dict[str, Any]
    reading: dict[str, Any]
    head: dict[str, Any]
    fitted: dict[str, Any]
    data: dict[str, Any]
    encoder_of: str
    held_back: dict[str, Any]
    version: str = ""
    test: dict[str, Any] | None = None
    random: dict[str, Any] = field(default_factory=dict)
    gain: dict[str, Any] = field(default_factory=dict)
    calibration: dict[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    def read(self, data: str, *, download: bool, **hints: Any) -> DataSettings:
        """How new data are read: as those it was fitted to."""
        return DataSettings(path=data, **self.reading).of(data, download=download, **hints)

    def encoder(self) -> Encoder:
        """The encoder with random weights."""
        return random_encoder(NetworkSettings(**self.network), 0)


def is_model(folder: Path) -> bool:
    """Whether a folder is one of a model."""
    return (folder / FACTS).is_file()


def check_model_out(out: str | Path, *, overwrite: bool) -> Path:
    """The folder that a model may be written to."""
    check_out_folder(out)
    path = Path(out)
    if path.exists() and (others := others_in(path)):
        if not (is_own(path) and (is_model(path) or others == [LIST])):
            raise ValueError(
                f"--out {path} holds other files, which are no model (such as {others[0]}); give a new or empty folder"
            )
        if not overwrite:
            raise ValueError(f"--out {path} already holds a model; give another folder, or --overwrite to replace it")
    return path


def write_model(path: Path, network: torch.nn.Module, facts: Facts, held_back: Sequence[Mapping[str, Any]]) -> None:
    """Write the folder; a model that is there is replaced, and what others put beside it stays.

    model.json comes last, without which it is no model. `held_back` has a row for each held-back sample.
    """
    path = path.resolve()
    draft = path.with_name(f".{path.name}.part")
    with alone_in(path):
        shutil.rmtree(draft, ignore_errors=True)
        try:
            with told_as(draft, path):
                _write(draft, network, facts, held_back)
                if not path.exists():
                    draft.replace(path)
                    return
                with undisturbed():
                    remove_own(path)
                    for name in (LIST, WEIGHTS, HELD_BACK, FACTS):
                        (draft / name).replace(path / name)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def _write(draft: Path, network: torch.nn.Module, facts: Facts, held_back: Sequence[Mapping[str, Any]]) -> None:
    mark(draft, "model")
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in network.state_dict().items()}
    with written_whole(record(draft / WEIGHTS)) as file:
        write_tensors(file, tensors, {"format": "pt", "selftaught": facts.version})
    with written_whole(record(draft / HELD_BACK)) as file, file.open("w", newline="", encoding="utf-8") as text:
        if held_back:
            writer = csv.DictWriter(text, list(held_back[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows({k: text_cell(v) if isinstance(v, str) else v for k, v in row.items()}
                             for row in held_back)  # fmt: skip
    write_json(draft / FACTS, asdict(facts))


def read_facts(folder: str | Path) -> Facts:
    """What model.json of a model's folder says.

    Raises:
        ValueError: the folder is no model's, or model.json is of another version or damaged.
    """
    path = Path(folder) / FACTS
    if not path.is_file():
        raise ValueError(f"{folder} is not a model: it has no {FACTS}; give the --out of a fit command")
    found = read_object(path)
    if found.get("format") != FORMAT:
        raise ValueError(f"{path} is of another version of selftaught (format {found.get('format')}); fit it again")
    known = {one.name for one in fields(Facts)}
    if not known >= found.keys() or not _is_whole(found):
        raise ValueError(f"{path} is damaged; fit the model again")
    return Facts(**found | {"classes": tuple(found["classes"])})


def _is_whole(found: Mapping[str, Any]) -> bool:
    """Whether model.json has what a model is built of."""
    classes, head = found.get("classes"), found.get("head")
    try:
        NetworkSettings(**found["network"])
        DataSettings(path="data", **found["reading"])
    except (KeyError, TypeError, ValueError):
        return False
    return (
        isinstance(classes, list)
        and len(classes) > 0
        and all(isinstance(name, str) for name in classes)
        and found.get("kind") in KINDS
        and isinstance(head, dict)
        and head.keys() >= set(KINDS[found["kind"]])
        and all(isinstance(found.get(name), dict) for name in ("data", "fitted", "held_back"))
    )


def load_classes(folder: str | Path, facts: Facts | None = None) -> ClassModel:
    """A model of classes with its weights, on the CPU in evaluation mode; nothing is unpickled."""
    facts = facts or read_facts(folder)
    if facts.kind != "classes":
        raise ValueError(f"a model of classes is needed, but {folder} finds {facts.kind}; fit one with --kind classes")
    tensors = read_weights(folder)
    if "head.weight" not in tensors:
        raise ValueError(f"{Path(folder) / WEIGHTS} is damaged: it has no head; fit the model again")
    features, classes = tensors["head.weight"].shape
    if classes != len(facts.classes):
        raise ValueError(
            f"{Path(folder) / WEIGHTS} has {classes} classes and {FACTS} beside it {len(facts.classes)}; they are of "
            "two models, copy the whole folder again"
        )
    settings = {name: facts.head[name] for name in ("stage", "dims")}
    model = ClassModel(facts.encoder(), LinearHead(features, classes), size=facts.network["size"], **settings)
    fill(model, tensors, folder)
    return model


def read_weights(folder: str | Path) -> dict[str, torch.Tensor]:
    """The tensors of a model by name."""
    path = Path(folder) / WEIGHTS
    try:
        found: dict[str, torch.Tensor] = load_file(path)
    except Exception as broken:
        raise ValueError(f"{path} cannot be read ({broken}); fit the model again") from None
    return found


def fill(model: torch.nn.Module, tensors: Mapping[str, torch.Tensor], folder: str | Path) -> None:
    """Load the tensors of a model's folder into it, and set it to evaluation."""
    try:
        model.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise ValueError(f"{Path(folder) / WEIGHTS} does not fit {FACTS} beside it: {reason}") from None
    model.eval()


@dataclass(frozen=True, kw_only=True)
class HeldBack:
    """What was predicted of M held-back samples.

    Attributes:
        confidence: (M,) probability in [0, 1] of the class that was predicted.
        right: (M,) whether that is the sample's class.
        groups: (M,) such as persons; None where there are none.
    """

    confidence: NDArray[np.float64]
    right: NDArray[np.bool_]
    groups: NDArray[np.int64] | None = None


def read_held_back(folder: str | Path, facts: Facts | None = None) -> HeldBack:
    """The held-back samples of a model.

    Raises:
        ValueError: the file is missing or damaged, or has not as many rows as model.json says.
    """
    facts, path = facts or read_facts(folder), Path(folder) / HELD_BACK
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        confidence = np.array([float(row["probability"]) for row in rows])
        right = np.array([row["label"] == row["class"] for row in rows])
        groups = [int(row["group"]) for row in rows if "group" in row]
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as broken:
        raise ValueError(f"{path} cannot be read ({broken}); copy the whole folder, or fit the model again") from None
    if not rows:
        raise ValueError(f"{path} has no held-back samples; fit the model again")
    expected = facts.held_back.get("rows", facts.held_back.get("samples"))
    if len(rows) != expected or not ((confidence >= 0) & (confidence <= 1)).all():
        raise ValueError(
            f"{path} is damaged: {len(rows)} rows for {expected} held-back samples, each with a "
            "probability from 0 to 1; copy the whole folder, or fit the model again"
        )
    return HeldBack(confidence=confidence, right=right, groups=np.array(groups, np.int64) if groups else None)


def row_of(key: str, label: str, predicted: str, probability: float, group: int | None = None) -> dict[str, Any]:
    """A line of held_back.csv."""
    row = {"path": printable(key), "label": printable(label), "class": printable(predicted),
           "probability": f"{probability:.6f}"}  # fmt: skip
    return row if group is None else row | {"group": str(group)}


def as_json(facts: Facts) -> dict[str, Any]:
    """As in model.json."""
    found: dict[str, Any] = json.loads(json.dumps(asdict(facts)))
    return found
