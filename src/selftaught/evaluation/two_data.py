"""Flags that describe data, such as --groups, where a comparison trains on some data and measures on others."""

from __future__ import annotations

import dataclasses
from typing import Any

from selftaught.core.config import RunConfig
from selftaught.core.plain import same_place
from selftaught.core.progress import say
from selftaught.core.settings.groups import HINTS, DataSettings
from selftaught.data.files.hints import UnfitHint
from selftaught.data.sources.open import open_part
from selftaught.evaluation.data.open_labelled import EVERY_SPLIT

TOGETHER = (("split_file", "split_number"), ("groups",), ("label_column",))
"""Flags that describe one thing."""


def for_both(config: RunConfig, labelled: str, needs: frozenset[str]) -> tuple[RunConfig, dict[str, Any]]:
    """The settings of the runs, and hints for the labelled data (see `DataSettings.of`).

    Both get every flag that fits them; that one fits the labelled data alone, or the others alone, is said.

    Args:
        config: of the runs; `needs` is what their tasks ask of the data.
        labelled: the data that are measured on.

    Raises:
        ValueError: where a flag fits neither.
    """
    given = {name: getattr(config.data, name) for name in HINTS}
    usual = DataSettings(path=config.data.path)
    given = {name: value for name, value in given.items() if value != getattr(usual, name)}
    if given.get("split_number") == EVERY_SPLIT:  # which are for measuring
        config = config.replace(split_number=1)
    if same_place(config.data.path, labelled):
        return config, given
    measured = dict(given)
    for names in TOGETHER:
        if not given.keys() & {*names}:
            continue
        flags = " and ".join(f"--{name.replace('_', '-')}" for name in names if name in given)
        others = {name: getattr(usual, name) for name in HINTS if name not in names}
        wrong = _misfit(dataclasses.replace(config.data, **others), needs)
        asked = {name: value for name, value in given.items() if name in names}
        asked |= {"split_number": 1} if asked.get("split_number") == EVERY_SPLIT else {}
        if _misfit(dataclasses.replace(usual, path=labelled, **asked), frozenset()) is None:
            if wrong is not None:
                nothing: dict[str, Any] = dict.fromkeys(names)
                config = config.replace(**nothing)
                say(f"{flags}: used for {labelled} alone, as {wrong}")
            continue
        if wrong is not None:
            raise wrong
        measured = {name: value for name, value in measured.items() if name not in names}
        say(f"{flags}: used for {config.data.path} alone, not for {labelled}")
    return config, measured


def _misfit(data: DataSettings, needs: frozenset[str]) -> UnfitHint | None:
    """What does not fit these data, None where all does; what else is wrong with them is said later."""
    try:
        open_part(data, split="train", needs=needs)
    except UnfitHint as wrong:
        return wrong
    except (ValueError, OSError):
        return None
    return None
