"""The flags of every verb, and their help."""

from __future__ import annotations

import pytest

from selftaught.cli import flags
from selftaught.cli import main as cli
from selftaught.core.config import run_settings
from selftaught.core.options import OF_THE_TASK, run_options
from selftaught.tasks.catalogue import list_tasks


@pytest.mark.parametrize("name", cli.VERBS)
def test_every_argument_of_a_verb_is_a_flag_with_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([name, "--help"]) == 0
    text = capsys.readouterr().out
    verb = cli.verb_of(name)
    for option in verb.positional:
        assert option.name.upper() in text
    for option in verb.flags:
        assert f"--{option.name}".replace("_", "-") in text
    assert all(option.help for option in (*verb.positional, *verb.flags))


def test_pretrain_help_has_every_setting_once_under_a_heading(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["pretrain", "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    grouped = [name for names in flags.GROUPS.values() for name in names]
    fields = {setting.name for setting in run_settings()}
    assert sorted(grouped) == sorted(fields - {"data", "out", *OF_THE_TASK})
    for name in grouped:
        flag = f"--{name}".replace("_", "-")
        assert sum(line.split()[:1] == [flag] for line in lines) == 1, flag
    assert all(option.help for option in run_options().values())


def test_a_tasks_own_flags_are_listed_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    for info in list_tasks():
        assert cli.main(["pretrain", "--task", info.name, "--help"]) == 0
        text = capsys.readouterr().out
        for option in info.options:
            assert f"--task.{option.name}".replace("_", "-") in text


def test_the_flags_of_a_combination_name_the_part(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["pretrain", "--task", "simclr+rotation", "--help"]) == 0
    text = capsys.readouterr().out
    for flag in ("--task.simclr.temperature X", "--task.rotation.min-scale X", "--task.rotation.angles {2,4}"):
        assert flag in text
    for flag in ("--task.weights X", "--task.balance {given,gradient}"):
        assert flag in text
