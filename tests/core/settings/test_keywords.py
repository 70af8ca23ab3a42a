"""The settings that verbs take are those of a run, with the same types."""

from __future__ import annotations

import typing

from selftaught.core.config import run_settings
from selftaught.core.settings.keywords import AllSettings, RunSettings


def test_the_settings_a_verb_takes_are_those_of_run_config() -> None:
    hints = {s.name: typing.get_type_hints(s.owner)[s.field.name] for s in run_settings()}
    assert typing.get_type_hints(AllSettings) == hints
    own = {"data", "out", "task", "kept", "started", "clip_seen"}
    assert set(hints) - set(typing.get_type_hints(RunSettings)) == own
