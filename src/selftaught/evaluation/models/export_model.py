"""A whole model out: its tensors, ONNX with the preprocessing inside, or its card."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from selftaught.core.files import check_out, written_whole
from selftaught.core.settings.values import COLOURS
from selftaught.core.tensor_file import write_tensors
from selftaught.encoders.trimmed_convolutions import untrim_kernels
from selftaught.evaluation.dense.box_batches import Canvas
from selftaught.evaluation.dense.segmentation_heads import Segmenter
from selftaught.evaluation.models.card import model_card
from selftaught.evaluation.models.dense_model import Finder, load_finder, load_network
from selftaught.evaluation.models.exported.boxes import boxes_program
from selftaught.evaluation.models.exported.classes import classes_program
from selftaught.evaluation.models.exported.compare import ALIKE, TOLERANCE, differences
from selftaught.evaluation.models.exported.graph import check_packages
from selftaught.evaluation.models.exported.masks import masks_program
from selftaught.evaluation.models.folder import Facts, as_json, load_classes, read_facts, read_weights
from selftaught.evaluation.models.network import ClassModel
from selftaught.evaluation.models.predict import said_of, threshold_of
from selftaught.evaluation.models.semantics import UNSURE, told_of

if TYPE_CHECKING:
    import onnx

Format = Literal["torch", "safetensors", "onnx", "card"]
FORMATS: dict[str, Format] = {
    ".pt": "torch", ".pth": "torch", ".safetensors": "safetensors", ".onnx": "onnx", ".md": "card"
}  # fmt: skip
"""By the ending of the file."""


def export_model(
    folder: str | Path, out: str | Path, format: str | None, *, error: float | None = None, overwrite: bool
) -> dict[str, Any]:
    """Write the model in the format of the ending, or in that asked for.

    Returns:
        "out" and "format"; for ONNX also "difference", the largest one of probabilities from those of the model, for
        boxes the percent of them that are "alike", and with `error` the "threshold" and what is known of it.
    """
    ending = Path(out).suffix.lower()
    chosen = format or FORMATS.get(ending)
    if chosen is None or FORMATS.get(ending, chosen) != chosen:
        raise ValueError(
            f"--out {out} of a model must end with one of {', '.join(FORMATS)}, and --format must be of that ending"
        )
    if error is not None and chosen != "onnx":
        raise ValueError(f"--error is for --format onnx, whose answers it limits, got {chosen}; leave it out")
    path = check_out(out, {}, overwrite=overwrite)
    facts = read_facts(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    more = _WRITERS[chosen](folder, facts, path, error)
    return {"out": str(path), "format": chosen, "classes": len(facts.classes)} | more


def _write_torch(folder: str | Path, facts: Facts, path: Path, error: float | None) -> dict[str, Any]:
    with written_whole(path) as draft:
        torch.save(read_weights(folder), draft)
    return {}


def _write_safetensors(folder: str | Path, facts: Facts, path: Path, error: float | None) -> dict[str, Any]:
    with written_whole(path) as draft:
        write_tensors(draft, read_weights(folder), {"format": "pt", "model.json": json.dumps(as_json(facts))})
    return {}


def _write_card(folder: str | Path, facts: Facts, path: Path, error: float | None) -> dict[str, Any]:
    with written_whole(path) as draft:
        draft.write_text(model_card(facts), encoding="utf-8")
    return {}


def _write_onnx(folder: str | Path, facts: Facts, path: Path, error: float | None) -> dict[str, Any]:
    check_packages()
    threshold = threshold_of(folder, error, facts)
    least = 0.0 if threshold is None else threshold.confidence
    model: ClassModel | Finder
    if facts.kind == "classes":
        model = load_classes(folder, facts)
        if model.encoder.kind != "image":
            raise ValueError(f"--format onnx is for models of images, this one takes {model.encoder.kind}")
        program = classes_program(model, told_of(facts, model.encoder.channels, threshold))
    else:
        program = _dense_program(folder, facts, least, told_of(facts, COLOURS, threshold))
        model = load_finder(folder, facts, torch.device("cpu"))
    with written_whole(path) as draft:
        draft.write_bytes(program.SerializeToString())
        found = differences(facts.kind, model, draft, least)
        _check(found, facts)
    return found | ({} if threshold is None else said_of(threshold))


def _dense_program(folder: str | Path, facts: Facts, least: float, told: dict[str, str]) -> onnx.ModelProto:
    if facts.kind == "masks" and len(facts.classes) > UNSURE:
        raise ValueError(
            f"masks are given with 8 bits for at most {UNSURE} classes, the model has {len(facts.classes)}; fit one on "
            "labels of fewer classes"
        )
    network, seen = load_network(folder, facts)
    untrim_kernels(network).to(memory_format=torch.contiguous_format)
    if isinstance(network, Segmenter):
        assert isinstance(seen, int)
        return masks_program(network, seen, least, told)
    assert isinstance(seen, Canvas)
    return boxes_program(network, seen, least, told)


def _check(found: dict[str, float], facts: Facts) -> None:
    if found["difference"] > TOLERANCE[facts.kind] or found.get("alike", ALIKE) < ALIKE:
        boxes = f" and {found['alike']:g} % of its boxes are alike" if "alike" in found else ""
        raise ValueError(
            f"the exported model differs from the model by {found['difference']:.2g} in a probability{boxes}; allowed "
            f"are {TOLERANCE[facts.kind]:g}{f' and {ALIKE:g} %' if boxes else ''}: the operators of "
            f"{facts.network['encoder']} do not survive the export, use --format torch"
        )


_WRITERS: dict[str, Callable[[str | Path, Facts, Path, float | None], dict[str, Any]]] = {
    "torch": _write_torch,
    "safetensors": _write_safetensors,
    "onnx": _write_onnx,
    "card": _write_card,
}
