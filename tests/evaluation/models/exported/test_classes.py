"""The program of a model of classes; `test_export_model` compares it with `predict`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from selftaught.evaluation.models.exported.classes import classes_program
from selftaught.evaluation.models.folder import load_classes, read_facts
from selftaught.evaluation.models.semantics import told_of


@pytest.mark.slow  # torch.onnx alone takes 5 s
def test_probabilities_of_images_of_any_size_sum_to_one(place: Path) -> None:
    facts = read_facts(place / "model")
    program = classes_program(load_classes(place / "model"), told_of(facts, 3))
    session = onnxruntime.InferenceSession(program.SerializeToString())
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == ["blue", "green", "red"]
    for shape in ((1, 40, 32, 3), (3, 17, 90, 3)):
        images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        (found,) = session.run(None, {"images": images})
        assert found.shape == (shape[0], 3)
        assert np.allclose(found.sum(1), 1, atol=1e-5)
