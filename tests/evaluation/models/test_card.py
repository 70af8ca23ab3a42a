"""The card of a model says what was measured, and leaves to its user what only they know."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import selftaught
from selftaught.evaluation.models.card import LICENCE, model_card
from selftaught.evaluation.models.folder import read_facts
from selftaught.evaluation.models.semantics import images_said


def test_the_card_has_data_metrics_intervals_and_a_place_for_the_licence(place: Path, tmp_path: Path) -> None:
    facts = read_facts(place / "model")
    assert selftaught.export(place / "model", out=tmp_path / "card.md")["format"] == "card"
    card = (tmp_path / "card.md").read_text()
    assert card == model_card(facts)
    low, high = facts.held_back["interval"]
    assert f"accuracy | {facts.held_back['accuracy']:.1f} % | {low:.1f} to {high:.1f} |" in card
    assert f"random weights of the encoder | accuracy | {facts.random['accuracy']:.1f} %" in card
    assert f"{facts.calibration['ece_before']:.1f} % before" in card
    assert "24 labelled samples to learn from. 0 files could not be read." in card
    assert "| 2 | red | 8 |" in card
    assert LICENCE in card


def test_a_test_part_and_many_classes(place: Path) -> None:
    facts = read_facts(place / "model")
    names = ("a|b", *(f"class {i}" for i in range(1, 120)))
    many = replace(facts, classes=names, test=facts.held_back | {"is": None}, data=facts.data | {"test": 7})
    card = model_card(many)
    assert "and 7 of its own test part, which chose nothing" in card
    assert "| test part | accuracy |" in card
    assert "and 20 more" in card
    assert "| 0 | a\\|b |" in card  # else a further column


def test_the_ranges_of_channels_are_said_where_images_are_not_of_eight_bits(place: Path) -> None:
    facts = read_facts(place / "model")
    assert "Channels:" not in model_card(facts)
    deep = replace(facts, reading=facts.reading | {"channels": 2, "value_range": "642,2990;100,4806"})
    said = "Channels: 2, whose values 642 to 2990, 100 to 4806 become 0 to 255 before the model"
    assert f"\n\n{said}.\n" in model_card(deep)
    assert images_said(deep, 2).endswith(f"resized and normalised. {said}")
    assert images_said(facts, 3).startswith("uint8 (N, height, width, 3) RGB of any size")
