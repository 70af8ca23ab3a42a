"""A model on disk: model.json, weights.safetensors, and held_back.csv by which thresholds are chosen."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from selftaught.core.files import check_out_folder, read_object, written_whole
from selftaught.core.names import printable, text_cell
from selftaught.core.own_folder import LIST, is_own, mark, others_in, record, remove_own, write_json
from selftaught.core.settings.groups import DataSettings, NetworkSettings
from selftaught.core.tensor_file import write_tensors
from selftaught.encoders.base import Encoder
from selftaught.evaluation.models.network import ClassModel, LinearHead
from selftaught.training.encoder_of_run import random_encoder

FACTS, WEIGHTS, HELD_BACK = "model.json", "weights.safetensors", "held_back.csv"
FORMAT = 1
"""Of model.json."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What model.json says.

    Attributes:
        kind: "classes", "boxes" or "masks".
        network: encoder, size, stem and clip_seen of `NetworkSettings`.
        reading: value_range, max_image_pixels, store_size, frame_rate and cache_limit of `DataSettings`.
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
        if not (is_own(path) and is_model(path)):
            raise ValueError(
                f"--out {path} holds other files, which are no model (such as {others[0]}); give a new or empty folder"
            )
        if not overwrite:
            raise ValueError(f"--out {path} already holds a model; give another folder, or --overwrite to replace it")
    return path


def write_model(path: Path, network: torch.nn.Module, facts: Facts, held_back: Sequence[Mapping[str, Any]]) -> None:
    """Write the folder whole or not at all; a model that is there is replaced.

    `held_back` has a row for each held-back sample.
    """
    draft = path.with_name(f".{path.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    try:
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
        if path.exists():
            remove_own(path)
            (path / LIST).unlink(missing_ok=True)
        draft.replace(path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


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
    if not known >= found.keys() or not {"kind", "classes", "network", "head"} <= found.keys():
        raise ValueError(f"{path} is damaged; fit the model again")
    return Facts(**found | {"classes": tuple(found["classes"])})


def load_classes(folder: str | Path, facts: Facts | None = None) -> ClassModel:
    """A model of classes with its weights, on the CPU in evaluation mode; nothing is unpickled."""
    facts = facts or read_facts(folder)
    tensors = read_weights(folder)
    if "head.weight" not in tensors:
        raise ValueError(f"{Path(folder) / WEIGHTS} is damaged: it has no head; fit the model again")
    features, classes = tensors["head.weight"].shape
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


def read_held_back(folder: str | Path) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Confidence (M,) in the class that was predicted, and whether it was right (M,), of held-back samples."""
    path = Path(folder) / HELD_BACK
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [(float(row["probability"]), row["label"] == row["class"]) for row in csv.DictReader(file)]
    except (OSError, KeyError, ValueError) as broken:
        raise ValueError(f"{path} cannot be read ({broken}); fit the model again") from None
    if not rows:
        raise ValueError(f"{path} has no held-back samples; fit the model again")
    return np.array([p for p, _ in rows]), np.array([right for _, right in rows])


def row_of(key: str, label: str, predicted: str, probability: float) -> dict[str, Any]:
    """A line of held_back.csv."""
    return {
        "path": printable(key), "label": printable(label), "class": printable(predicted),
        "probability": f"{probability:.6f}",
    }  # fmt: skip


def as_json(facts: Facts) -> dict[str, Any]:
    """As in model.json."""
    found: dict[str, Any] = json.loads(json.dumps(asdict(facts)))
    return found
