"""What of a model is pushed; `test_push` does so, and predicts with what comes back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from selftaught.evaluation.models.folder import HELD_BACK, read_facts, read_held_back
from selftaught.evaluation.models.on_hub import _copy_rows, _without_places, model_among, model_folder


@pytest.mark.parametrize(
    ("encoder", "left"),
    [("/home/me/runs/photos", "photos"), ("timm:net:/home/me/w.pth", "timm:net:w.pth"), ("hf:me/net", "hf:me/net")],
)
def test_facts_name_data_and_encoder_without_folders(place: Path, encoder: str, left: str) -> None:
    facts = read_facts(place / "model")
    told = facts.data | {"path": "/home/me/photos", "notes": ["/home/me/photos has no test part"]}
    found = _without_places(replace(facts, data=told, encoder_of=encoder))
    assert (found.data["path"], found.data["notes"]) == ("photos", ["photos has no test part"])
    assert found.encoder_of == left


def test_held_back_samples_keep_their_numbers_alone(place: Path, tmp_path: Path) -> None:
    _copy_rows(place / "model" / HELD_BACK, tmp_path / HELD_BACK)
    facts = read_facts(place / "model")
    own, copied = read_held_back(place / "model", facts), read_held_back(tmp_path, facts)
    assert own.confidence.tolist() == copied.confidence.tolist()
    assert own.right.tolist() == copied.right.tolist()
    assert (tmp_path / HELD_BACK).read_text().splitlines()[1].startswith("1,")


def test_a_folder_is_itself(tmp_path: Path) -> None:
    assert model_folder(str(tmp_path), download=False) == tmp_path
    with pytest.raises(ValueError, match=r"^'a' is no name on the Hugging Face hub; give OWNER/NAME$"):
        model_folder("hf:a", download=False)


def test_models_are_told_from_runs_and_encoders(place: Path, tmp_path: Path) -> None:
    assert model_among(place / "model", download=False) == place / "model"
    for other in (tmp_path, "resnet18:weights.pth", "timm:resnet18", "hf:nobody/nothing"):
        assert model_among(other, download=False) is None
