"""A model's folder: written whole, read back without unpickling, and never over files of others."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from selftaught.evaluation.models.folder import (
    as_json,
    check_model_out,
    load_classes,
    read_facts,
    read_held_back,
    write_model,
)


def test_what_was_written_is_read(place: Path) -> None:
    facts = read_facts(place / "model")
    assert (facts.kind, facts.classes) == ("classes", ("blue", "green", "red"))
    assert facts.data["by_class"] == {"blue": 8, "green": 8, "red": 8}
    assert json.loads((place / "model" / "model.json").read_text()) == as_json(facts)
    confidence, right = read_held_back(place / "model")
    assert len(confidence) == 24
    assert 100 * right.mean() == pytest.approx(facts.held_back["accuracy"], abs=1e-3)
    model = load_classes(place / "model", facts)
    assert not model.training
    assert float(model.temperature) == pytest.approx(facts.calibration["temperature"], abs=1e-4)


def test_a_model_is_replaced_whole_and_only_when_asked(place: Path, tmp_path: Path) -> None:
    facts, model = read_facts(place / "model"), load_classes(place / "model")
    path = check_model_out(tmp_path / "new", overwrite=False)
    write_model(path, model, facts, [])
    with pytest.raises(ValueError, match=r"already holds a model; give another folder, or --overwrite"):
        check_model_out(path, overwrite=False)
    (path / "notes.txt").write_text("mine")
    model.temperature.fill_(7.0)
    with pytest.raises(OSError, match=r"(?i)not empty"):
        write_model(check_model_out(path, overwrite=True), model, facts, [])
    (path / "notes.txt").unlink()
    write_model(path, model, facts, [{"path": "a", "label": "x", "class": "x", "probability": 0.5}])
    assert float(load_classes(path).temperature) == 7.0
    assert [name.name for name in tmp_path.iterdir()] == ["new"]
    assert np.array_equal(read_held_back(path)[1], [True])


def test_folders_that_hold_something_else_are_refused(place: Path, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match=r"holds other files, which are no model \(such as photo.jpg\)"):
        check_model_out(tmp_path, overwrite=True)
    with pytest.raises(ValueError, match=r"is not a model: it has no model.json"):
        read_facts(tmp_path)


@pytest.mark.parametrize("text", ['{"format": 1}', '{"format": 2}', "{", '{"format": 1, "kind": 3, "unknown": 0}'])
def test_a_damaged_file_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(ValueError, match=r"model.json is (damaged|of another version)"):
        read_facts(tmp_path)


def test_weights_that_do_not_fit_are_one_sentence(place: Path, tmp_path: Path) -> None:
    facts = read_facts(place / "model")
    (tmp_path / "weights.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ValueError, match=r"weights.safetensors cannot be read"):
        load_classes(tmp_path, facts)
    write_model(tmp_path / "other", torch.nn.Linear(2, 3), facts, [])
    with pytest.raises(ValueError, match=r"weights.safetensors is damaged: it has no head"):
        load_classes(tmp_path / "other", facts)
