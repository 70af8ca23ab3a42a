"""What a model takes and gives, in words: for its card and for the metadata of an ONNX file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from selftaught.core.settings.values import COLOURS
from selftaught.evaluation.dense.mask_batches import LONGEST
from selftaught.evaluation.metrics.calibration import Threshold
from selftaught.evaluation.models.folder import Facts

UNSURE = 255
"""Number of pixels of which a model cannot tell the class."""


def images_said(facts: Facts, channels: int) -> str:
    """What an ONNX program takes."""
    kind = "RGB" if channels == COLOURS else f"{channels} channels"
    shape = f"uint8 ({'1' if facts.kind == 'boxes' else 'N'}, height, width, {channels}) {kind} of any size"
    if facts.kind == "classes":
        seen = "the central square is resized and normalised"
    else:
        seen = "pixels in the order of the file, not turned by its EXIF tag; resizing and normalisation are inside"
        if facts.kind == "masks":
            seen += f"; what is longer than {LONGEST} times its short side is squeezed to that, and coarser along it"
    return ". ".join([f"{shape}; {seen}", *reading_said(facts.reading)])


def outputs_said(facts: Facts) -> dict[str, str]:
    """What an ONNX program gives, by the name of each output."""
    last = len(facts.classes) - 1
    numbers = f"0 to {last}, in the order of the classes" if last else "0, the only class"
    if facts.kind == "classes":
        return {"probabilities": f"(N, {last + 1}) float32, calibrated, in the order of the classes"}
    if facts.kind == "masks":
        return {
            "classes": f"(N, height, width) uint8, number of the class of each pixel: {numbers}; {UNSURE} where the "
            "model cannot tell, which only a file exported with --error has",
            "probability": "(N, height, width) float32, probability in [0, 1] of that class, not calibrated",
        }
    return {
        "boxes": "(D, 4) float32: left, top, right, bottom in pixels of the given image, from 0 to its width and "
        "height; of boxes of one class that overlap by more than half only the surest is left, at most 100 altogether",
        "scores": "(D,) float32, score in [0, 1], falling, not calibrated",
        "classes": f"(D,) int64, number of the class: {numbers}",
    }


def told_of(facts: Facts, channels: int, threshold: Threshold | None = None) -> dict[str, str]:
    """Metadata of an ONNX program."""
    found = {"classes": json.dumps(facts.classes), "images": images_said(facts, channels)}
    # "classes" are their names; the output of that name is told of beside it.
    found |= {f"output_{name}" if name == "classes" else name: text for name, text in outputs_said(facts).items()}
    if threshold is not None:
        found |= {"threshold": f"{threshold.confidence:.6f}", "below_threshold": BELOW[facts.kind]}
    return found


BELOW: Mapping[str, str] = {
    "classes": "no class can be told where the largest probability, rounded to six places, is below the threshold",
    "masks": f"pixels whose probability is below the threshold are {UNSURE}",
    "boxes": "boxes whose score is below the threshold are left out",
}
"""What happens below a threshold, by the kind of model."""


def reading_said(reading: Mapping[str, Any]) -> list[str]:
    """How images become what the network takes, where they are not whole ones of 8 bits and three colours."""
    found: list[str] = []
    if tile := reading.get("tile"):
        shared = f", of which neighbours share {100 * overlap:g} %" if (overlap := reading.get("overlap")) else ""
        found.append(f"Larger images are cut into tiles of {tile} x {tile} pixels{shared}, each with an answer")
    if (ranges := str(reading.get("value_range", "auto"))) != "auto":
        shown = ", ".join(part.replace(",", " to ") for part in ranges.split(";"))
        channels = reading.get("channels", COLOURS)
        found.append(f"Channels: {channels}, whose values {shown} become 0 to 255 before the model")
    return found
