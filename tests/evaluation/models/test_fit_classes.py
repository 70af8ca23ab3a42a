"""From an encoder and labels to a model: which method is chosen, on what it is measured, and that it predicts alike."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import selftaught
from selftaught.evaluation.models.folder import load_classes, read_facts
from tests.evaluation.models.own_encoder import SIZE, colours_in, encoder_in

HOW = {"size": SIZE, "stem": "standard", "steps": 2, "lr": [0.01]}


def test_labels_that_few_are_tested_in_folds(place: Path) -> None:
    facts = read_facts(place / "model")
    assert facts.held_back["is"] == "5-fold cross-validation of 24 labels"
    assert facts.held_back["samples"] == facts.random["samples"] == 24
    assert facts.held_back["accuracy"] > 60
    assert facts.fitted["method"] == "linear"
    assert facts.fitted["compared"] == {"linear": facts.held_back["accuracy"]}
    assert facts.gain["value"] == pytest.approx(facts.held_back["accuracy"] - facts.random["accuracy"], abs=2e-3)


def test_fine_tuning_is_measured_on_labels_it_did_not_see(tmp_path: Path) -> None:
    data = colours_in(tmp_path / "data", 4)
    found = selftaught.fit(encoder_in(tmp_path), data, out=tmp_path / "model", method="finetune", **HOW)  # type: ignore[arg-type]
    assert found["measured_on"] == "3 of 12 labels"
    facts = read_facts(tmp_path / "model")
    assert (facts.head["stage"], facts.fitted["lr"], facts.fitted["steps"]) == ("pooled", 0.01, 2)
    model = load_classes(tmp_path / "model")
    assert model(torch.randn(2, 3, SIZE, SIZE)).shape == (2, 3)


def test_the_better_method_is_taken_and_the_test_part_only_measures(tmp_path: Path) -> None:
    colours_in(tmp_path / "data", 5, part="train")
    colours_in(tmp_path / "data", 3, part="test", seed=1)
    found = selftaught.fit(encoder_in(tmp_path), tmp_path / "data", out=tmp_path / "model", **HOW)  # type: ignore[arg-type]
    compared = found["compared"]
    facts = read_facts(tmp_path / "model")
    assert set(compared) == {"linear", "finetune"}
    assert found["measured_on"] == "the data's own test part, 9 samples"
    assert facts.test is not None
    assert (facts.test["samples"], facts.random["samples"], facts.held_back["samples"] in (3, 15)) == (9, 9, True)
    assert found["accuracy"] == facts.test["accuracy"]


def test_what_cannot_be_fitted_is_one_sentence(tmp_path: Path) -> None:
    data = colours_in(tmp_path / "data", 2)
    with pytest.raises(ValueError, match=r"is not a run folder"):
        selftaught.fit(tmp_path, data, out=tmp_path / "model")
    with pytest.raises(ValueError, match=r"^--lr must be one or more numbers above 0"):
        selftaught.fit(encoder_in(tmp_path), data, out=tmp_path / "model", lr=[0.0])
    flat = tmp_path / "flat"
    flat.mkdir()
    for i, path in enumerate(sorted(data.rglob("*.png"))):
        path.rename(flat / f"{i}.png")
    with pytest.raises(ValueError, match=r"label"):
        selftaught.fit(encoder_in(tmp_path), flat, out=tmp_path / "model", size=SIZE)
