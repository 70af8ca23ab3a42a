"""A whole model out: its tensors, ONNX with the preprocessing inside, or its card."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from selftaught.core.files import check_out, written_whole
from selftaught.core.settings.values import COLOURS
from selftaught.core.tensor_file import write_tensors
from selftaught.evaluation.models.card import model_card, ranges_said
from selftaught.evaluation.models.folder import Facts, as_json, load_classes, read_facts, read_weights
from selftaught.evaluation.models.network import ImageModel

Format = Literal["torch", "safetensors", "onnx", "card"]
FORMATS: dict[str, Format] = {
    ".pt": "torch", ".pth": "torch", ".safetensors": "safetensors", ".onnx": "onnx", ".md": "card"
}  # fmt: skip
"""By the ending of the file."""
TOLERANCE = 1e-4
"""Largest difference of probabilities between an exported model and the model itself."""
_TRIED = ((1, 64, 64), (2, 90, 61))
"""Sizes of images that an exported model is tried on."""


def export_model(folder: str | Path, out: str | Path, format: str | None, *, overwrite: bool) -> dict[str, Any]:
    """Write the model in the format of the ending, or in that asked for.

    Returns:
        "out" and "format"; for ONNX also "difference", the largest one of probabilities from those of the model.
    """
    ending = Path(out).suffix.lower()
    chosen = format or FORMATS.get(ending)
    if chosen is None or FORMATS.get(ending, chosen) != chosen:
        raise ValueError(
            f"--out {out} of a model must end with one of {', '.join(FORMATS)}, and --format must be of that ending"
        )
    path = check_out(out, {}, overwrite=overwrite)
    facts = read_facts(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    more = _WRITERS[chosen](folder, facts, path)
    return {"out": str(path), "format": chosen, "classes": len(facts.classes)} | more


def _write_torch(folder: str | Path, facts: Facts, path: Path) -> dict[str, Any]:
    with written_whole(path) as draft:
        torch.save(read_weights(folder), draft)
    return {}


def _write_safetensors(folder: str | Path, facts: Facts, path: Path) -> dict[str, Any]:
    with written_whole(path) as draft:
        write_tensors(draft, read_weights(folder), {"format": "pt", "model.json": json.dumps(as_json(facts))})
    return {}


def _write_card(folder: str | Path, facts: Facts, path: Path) -> dict[str, Any]:
    with written_whole(path) as draft:
        draft.write_text(model_card(facts), encoding="utf-8")
    return {}


def _write_onnx(folder: str | Path, facts: Facts, path: Path) -> dict[str, Any]:
    absent = [package for package in ("onnx", "onnxscript", "onnxruntime") if find_spec(package) is None]
    if absent:
        raise ValueError(f"--format onnx needs {' and '.join(absent)}: pip install 'selftaught[onnx]'")
    if facts.kind != "classes":
        raise ValueError(f"--format onnx is for models of classes, this one finds {facts.kind}; give --format torch")
    model = load_classes(folder, facts)
    if model.encoder.kind != "image":
        raise ValueError(f"--format onnx is for models of images, this one takes {model.encoder.kind}")
    whole = ImageModel(model).eval()
    axes = {0: torch.export.Dim("batch", min=1), 1: torch.export.Dim("height", min=8)}
    axes[2] = torch.export.Dim("width", min=8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own code
        program = torch.onnx.export(
            whole,
            (torch.zeros(2, 40, 48, model.encoder.channels, dtype=torch.uint8),),
            input_names=["images"],
            output_names=["probabilities"],
            dynamic_shapes=(axes,),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    program.model.metadata_props.update(
        {
            "classes": json.dumps(facts.classes),
            "images": images_said(facts, model.encoder.channels),
            "probabilities": "(N, classes), calibrated",
        }
    )
    with written_whole(path) as draft:
        program.save(draft, external_data=False)
        difference = _difference(whole, draft)
        if difference > TOLERANCE:
            raise ValueError(
                f"the exported model differs from the model by {difference:.2g} in a probability, above {TOLERANCE:g}; "
                f"the operators of {facts.network['encoder']} do not survive the export, use --format torch"
            )
    return {"difference": float(f"{difference:.2g}")}


def images_said(facts: Facts, channels: int) -> str:
    """What an ONNX program takes, for its metadata."""
    kind = "RGB" if channels == COLOURS else f"{channels} channels"
    shape = f"uint8 (N, height, width, {channels}) {kind} of any size"
    return ". ".join([f"{shape}; the central square is resized and normalised", *ranges_said(facts.reading)])


@torch.no_grad()
def _difference(model: ImageModel, path: Path) -> float:
    """The largest difference of a probability, over drawn images of several sizes."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    rng, found = np.random.default_rng(0), 0.0
    for n, height, width in _TRIED:
        coarse = rng.integers(0, 256, (n, 8, 8, model.model.encoder.channels), dtype=np.uint8)
        images = coarse.repeat(height // 8 + 1, 1).repeat(width // 8 + 1, 2)[:, :height, :width]
        (theirs,) = session.run(None, {"images": images})
        found = max(found, float(np.abs(theirs - model(torch.from_numpy(images)).numpy()).max()))
    return found


_WRITERS: dict[str, Callable[[str | Path, Facts, Path], dict[str, Any]]] = {
    "torch": _write_torch,
    "safetensors": _write_safetensors,
    "onnx": _write_onnx,
    "card": _write_card,
}
