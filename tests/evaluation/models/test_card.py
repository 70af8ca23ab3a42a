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
    tiles = replace(facts, reading=facts.reading | {"tile": 64, "overlap": 0.1})
    cut = "Larger images are cut into tiles of 64 x 64 pixels, of which neighbours share 10 %, each with an answer"
    assert f"\n\n{cut}.\n" in model_card(tiles)
    assert images_said(tiles, 3).endswith(f"resized and normalised. {cut}")
    assert images_said(facts, 3).startswith("uint8 (N, height, width, 3) RGB of any size")


def test_the_error_after_calibration_is_not_claimed_where_it_cannot_be_known(place: Path) -> None:
    facts = read_facts(place / "model")
    alone = replace(facts, calibration=facts.calibration | {"ece_before": 13.4, "ece_after": None})
    assert "error: 13.4 % before, after it not known, as all of them belong to one group." in model_card(alone)
    assert "measured on labels that the temperature was not fitted to." in model_card(facts)


def test_boxes_and_masks_say_how_they_were_measured(place: Path) -> None:
    facts = read_facts(place / "model")
    found = {"interval": [20.0, 30.0], "samples": 17, "by_class": {"red": 31.5, "blue": None}}
    boxes = replace(
        facts,
        kind="boxes",
        head={"settings": {"size": 160}, "seed": 0},
        data=facts.data | {"by_class": None},
        held_back=found | {"map": 25.0, "rule": "voc", "coco": {"ap": 9.0, "ap75": 6.5}, "boxes": {"red": 12}},
        gain={"value": -1.25, "interval": [-3.0, 0.5]},
    )
    card = model_card(boxes)
    assert "sees images with a short side of 160 pixels, from" in card
    assert "| mean average precision | 25.0 % | 20.0 to 30.0 |" in card
    assert "Difference to random weights: -1.2 points (-3.0 to 0.5)." in card
    assert "at an overlap of 0.5, as PASCAL VOC has it. By COCO's rule: 9.0 %, at an overlap of 0.75 6.5 %." in card
    assert "Intervals are over resamplings of the 17 test images (bootstrap)." in card
    assert "| number | class | test boxes | average precision |\n|---|---|---|---|\n| 0 | blue |  |  |" in card
    assert "| 2 | red | 12 | 31.5 % |" in card
    masks = replace(
        boxes, kind="masks", held_back=found | {"miou": 25.0, "pixel_accuracy": 61.0, "commonest_class": 14.0}
    )
    card = model_card(masks)
    assert "| accuracy of pixels | 61.0 % |  |" in card
    assert "every pixel is of the commonest class reaches 14.0 % mean intersection over union." in card
    assert "| number | class | intersection over union |\n|---|---|---|\n" in card
    assert "255 where the model cannot tell" in card


def test_an_interval_over_few_groups_is_said_to_be_unknown(place: Path) -> None:
    facts = read_facts(place / "model")
    assert "groups" not in model_card(facts)
    card = model_card(replace(facts, held_back=facts.held_back | {"groups": 3}))
    assert "The 24 samples are of 3 groups, from which the interval cannot be known well" in card
