"""Annotations of data and encoders: objects of Python for type checkers, text for the command line."""

from __future__ import annotations

import typing
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset, Subset, TensorDataset

from selftaught import api
from selftaught.cli.flags import read_verb
from selftaught.core.objects.kinds import Data, Network
from selftaught.core.settings.keywords import RunSettings

TAKING_DATA = ("pretrain", "evaluate", "compare", "fit", "predict", "suggest", "explore", "embed", "search")


class Own(Dataset[tuple[torch.Tensor, int]]):
    def __len__(self) -> int:
        return 2

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        return torch.zeros(3, 8, 8), row


def data_for_a_type_checker(declared: Dataset[Any]) -> list[Data]:
    """What users pass: mypy, which runs over the tests, refuses here what the annotation does not take."""
    tensors = TensorDataset(torch.zeros(2, 3, 8, 8))
    return ["photos", Own(), declared, tensors, Subset(Own(), [0]), torch.zeros(2, 3, 8, 8)]


def settings_for_a_type_checker() -> list[RunSettings]:
    return [{"encoder": "resnet18"}, {"encoder": nn.Sequential(nn.Conv2d(3, 8, 3))}, {"encoder": nn.Linear(2, 2)}]


@pytest.mark.parametrize("name", TAKING_DATA)
def test_data_may_be_an_object_and_a_flag_takes_text(name: str) -> None:
    function: Callable[..., Any] = getattr(api, name)
    hints = typing.get_type_hints(function)
    taken = {argument: hints[argument] for argument in ("data", "labelled") if argument in hints}
    assert taken
    assert all(hint in (Data, Data | None) for hint in taken.values())
    verb = read_verb(function)
    options = {option.name: option for option in (*verb.positional, *verb.flags)}
    assert {options[argument].type for argument in taken} == {"str"}
    assert not any(options[argument].many or options[argument].choices for argument in taken)


def test_what_is_taken_is_what_the_annotations_say() -> None:
    assert len(data_for_a_type_checker(Own())) == 6
    assert typing.get_type_hints(RunSettings)["encoder"] == str | Network
    assert [list(settings) for settings in settings_for_a_type_checker()] == [["encoder"]] * 3
    assert set(typing.get_type_hints(api.pretrain)) >= {"data", "settings"}
