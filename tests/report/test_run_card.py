"""The card of an encoder says what it learned from and what it was measured to be worth, and no path of its owner."""

from __future__ import annotations

import json
from pathlib import Path

from selftaught.report.run_card import run_card

EVALUATION = {
    "probe": "linear", "metric": "top1", "value": 61.5, "interval": [58.0, 65.0], "stage": "layer4", "fraction": 0.01,
    "labelled": "/home/me/birds", "random": {"value": 40.0, "interval": [37.0, 43.0]},
    "gain": {"value": 21.5, "interval": [18.0, 25.0]},
}  # fmt: skip


def test_data_metrics_and_intervals(tmp_path: Path) -> None:
    config = {"task": "rotation", "data": "/home/me/photos", "size": 32, "batch_size": 128, "lr": 0.05,
              "encoder": "resnet18",
              "optimizer": "sgd", "seed": 0}  # fmt: skip
    summary = {"metric": "accuracy", "value": 0.75, "chance": 0.25, "train_samples": 9000, "steps": 4, "epochs": 0.06,
               "seconds": 12.0, "heldout_samples": 500, "warnings": ["4 steps are too few to learn much"]}  # fmt: skip
    for name, value in (("config.json", config), ("summary.json", summary), ("evaluations/linear-0.json", EVALUATION)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(value))
    card = run_card(tmp_path, name="me/net", encoder="resnet18")
    assert card.startswith("---\nlibrary_name: selftaught\npipeline_tag: image-feature-extraction\n")
    assert "Its held-out accuracy is 0.75 (chance 0.25)." in card
    assert "| linear probe | birds | 1 % | top1 | 61.5 (58 to 65) | 40 (37 to 43) | 21.5 (18 to 25) |" in card
    assert "| data | photos |" in card
    assert "/home/me" not in card
    assert 'selftaught.load_encoder("hf:me/net", download=True)' in card
    assert "- 4 steps are too few to learn much" in card


def test_a_run_that_was_not_measured_says_so(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"task": "rotation", "data": "demo", "size": 32}')
    card = run_card(tmp_path, name="me/net", encoder="resnet18")
    assert "Not measured with labels yet." in card
    assert "The features have not been measured" in card
