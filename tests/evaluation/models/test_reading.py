"""What a model keeps of its run."""

from __future__ import annotations

from pathlib import Path

from selftaught.core.settings.groups import DataSettings
from selftaught.evaluation.models.reading import network_of_subject, reading_of
from selftaught.evaluation.subject import open_subject
from tests.evaluation.models.own_encoder import ENCODER, SIZE, encoder_in


def test_new_data_are_read_alike_from_another_place(tmp_path: Path) -> None:
    kept = reading_of(DataSettings(path="photos", value_range="0,4095", groups="person"))
    assert kept["value_range"] == "0,4095"
    assert not {"path", "groups"} & kept.keys()
    assert DataSettings(path="others", **kept).value_range == "0,4095"


def test_the_encoder_is_named_with_its_size(tmp_path: Path) -> None:
    subject = open_subject(encoder_in(tmp_path), size=SIZE, stem="standard")
    assert network_of_subject(subject) == {"encoder": ENCODER, "size": SIZE, "stem": "standard", "clip_seen": {}}
