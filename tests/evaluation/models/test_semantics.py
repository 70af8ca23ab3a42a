"""What inputs and outputs mean is said for every kind of model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from selftaught.evaluation.metrics.calibration import Threshold
from selftaught.evaluation.models.folder import read_facts
from selftaught.evaluation.models.semantics import images_said, outputs_said, told_of


def test_every_kind_says_what_its_outputs_are(place: Path) -> None:
    facts = read_facts(place / "model")
    assert outputs_said(facts) == {"probabilities": "(N, 3) float32, calibrated, in the order of the classes"}
    masks, boxes = (replace(facts, kind=kind) for kind in ("masks", "boxes"))
    assert "0 to 2, in the order of the classes; 255 where the model cannot tell" in outputs_said(masks)["classes"]
    assert "left, top, right, bottom in pixels of the given image" in outputs_said(boxes)["boxes"]
    assert images_said(boxes, 3).startswith("uint8 (1, height, width, 3) RGB of any size; pixels in the order of the f")


def test_metadata_name_the_classes_and_the_threshold(place: Path) -> None:
    facts = replace(read_facts(place / "model"), kind="masks")
    assert "threshold" not in told_of(facts, 3)
    told = told_of(facts, 3, Threshold(confidence=0.25, error=1.0, interval=(0.0, 2.0), answered=50.0))
    assert json.loads(told["classes"]) == ["blue", "green", "red"]
    assert told["output_classes"].startswith("(N, height, width) uint8")
    assert (told["threshold"], told["below_threshold"]) == (
        "0.250000",
        "pixels whose probability is below the threshold are 255",
    )
