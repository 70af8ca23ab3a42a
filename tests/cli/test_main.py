from __future__ import annotations

import dataclasses
import io
import json
import os
import subprocess
import sys
import time
import typing
from pathlib import Path
from typing import Any

import pytest

from selftaught import api
from selftaught.cli import flags
from selftaught.cli import main as cli
from selftaught.cli.printing import show
from selftaught.core.config import RunConfig, RunSettings
from selftaught.core.options import run_options
from selftaught.tasks.catalogue import list_tasks


def selftaught(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "selftaught", *words], capture_output=True, text=True, check=False)


def error_of(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert cli.main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("selftaught: error: ")
    assert err.count("\n") == 1
    return err


def test_help_names_every_verb_with_its_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for name in cli.VERBS:
        assert f"{name} {cli.verb_of(name).summary}" in text


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
    fields = {f.name for f in dataclasses.fields(RunConfig)}
    assert sorted(grouped) == sorted(fields - {"data", "out", "task_settings"})
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


def test_the_settings_a_verb_takes_are_those_of_run_config() -> None:
    hints = typing.get_type_hints(RunConfig)
    assert typing.get_type_hints(RunSettings) == {
        name: hint for name, hint in hints.items() if name not in {"data", "out", "task"}
    }


def test_verbs_get_typed_values(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def pretrain(data: str, *, out: str, task: str = "simclr", **settings: typing.Unpack[RunSettings]) -> api.Json:
        """Summary.

        Args:
            data: data.
            out: out.
            task: task.
        """
        seen.update(settings, data=data, out=out, task=task)
        return {}

    monkeypatch.setattr(api, "pretrain", pretrain)
    words = "pretrain photos --out run --task rotation --task.angles 2 --size 64 --epochs 0.5 --lr 1e-3 --resume"
    assert cli.main(words.split()) == 0
    settings = {"angles": 2}
    assert seen == {
        "data": "photos", "out": "run", "task": "rotation", "task_settings": settings,
        "size": 64, "epochs": 0.5, "lr": 1e-3, "resume": True,
    }  # fmt: skip


def test_compare_takes_a_combination_beside_its_parts() -> None:
    options = cli.further_options(flags.read_verb(api.compare), ["--tasks", "rotation,simclr+rotation"])["task"]
    assert {"angles", "rotation.angles", "simclr.temperature", "weights"} <= {option.name for option in options}


def test_compare_gives_each_setting_its_type(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["--tasks", "simclr,rotation", "--task.angles=2"]
    verb = flags.read_verb(api.compare)
    options = cli.further_options(verb, words)["task"]
    assert {"angles", "temperature"} <= {option.name for option in options}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("pretrian", "unknown verb 'pretrian'; did you mean pretrain?"),
        ("--vresion", "unknown flag --vresion; did you mean --version?"),
        ("pretrain photos", "the following arguments are required: --out"),
        ("pretrain photos more --out run", "'more' is one argument too many"),
        ("pretrain photos --out run --siez 64", "unknown flag --siez; did you mean --size"),
        ("pretrain photos --out run --size big", "--size must be a whole number, got 'big'"),
        ("pretrain photos --out run --stem smal", "got 'smal'; did you mean small?"),
        ("pretrain photos --out run --size 4", "--size must be at least 8, got 4"),
        ("pretrain photos --out run --steps 5 --epochs 1", "--epochs and --steps both set the length of the run"),
        ("pretrain photos --out run --task rotatoin", "unknown task 'rotatoin'; did you mean rotation"),
        ("pretrain photos --out run --task rotation --task.angels 4", "did you mean --task.angles"),
        ("pretrain photos --out run --task rotation --task.angles 3", "--task.angles must be one of 2, 4, got '3'"),
        ("pretrain photos --out run --task simclr+rotatoin", "unknown task 'rotatoin'; did you mean rotation"),
        ("pretrain photos --out run --task simclr+rotation --task.angles 2", "did you mean --task.rotation.angles"),
        ("pretrain photos --out run --task simclr+rotation --task.rotation.angles 3", "--task.rotation.angles must be"),
        ("pretrain photos --out run --task gan+rotation", "gan cannot be combined with other tasks"),
        ("evaluate run data --probe liner", "unknown probe 'liner'; did you mean linear?"),
        ("compare photos --tasks rotation,simcrl --out c", "unknown task 'simcrl'; did you mean simclr?"),
        ("export run --out x --format onx", "did you mean onnx?"),
        ("predict", "unknown verb 'predict'; Known:"),
        ("linear", "unknown verb 'linear'; Known:"),
        ("pretrain photos --out run --method rotation", "unknown flag --method; did you mean --task?"),
        ("pretrain photos --out run --backbone resnet18", "did you mean --encoder?"),
        ("pretrain photos --out run --img-size 64", "did you mean --size?"),
        ("pretrain photos --output run --out run", "did you mean --out?"),
        ("pretrain photos --out run --learning-rate 1", "did you mean --lr?"),
        ("pretrain photos --out run --bs 8", "did you mean --batch-size?"),
        ("compare photos --out run --tasks rotation --method rotation", "did you mean --tasks?"),
        ("pretrain photos --out run --weights w.pth", "cannot start from given weights yet"),
        ("pretrain demo --out run --encoder resnet18:w.pth", "cannot start from given weights yet; give the encoder's"),
        ("embed resnet18:w.pth demo --out x.npy", "only a run folder can be given here as yet"),
        ("export resnet18:w.pth --out x.pth", "selftaught evaluate resnet18:w.pth DATA"),
    ],
)  # fmt: skip
def test_errors_are_one_line_with_the_near_matches(
    words: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sentence in error_of(capsys, *words.split())


def test_json_is_alone_on_stdout_whatever_is_printed() -> None:
    code = (
        "import os, sys, subprocess, warnings\n"
        "from selftaught.cli import main as cli; from selftaught import api\n"
        "def tasks():\n"
        "    'Summary.'\n"
        "    print('print'); os.write(1, b'raw'); warnings.warn('warning'); subprocess.run(['echo', 'child'])\n"
        "    return [{'value': float('nan'), 'path': __import__('pathlib').Path('a'), 'pair': (1, 2)}]\n"
        "api.list_tasks = tasks\n"
        "sys.exit(cli.main(['tasks', '--json']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert json.loads(done.stdout) == [{"value": None, "path": "a", "pair": [1, 2]}]
    assert all(word in done.stderr for word in ("print", "raw", "warning", "child"))


def test_an_interrupt_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(words: list[str], given: dict[str, str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_run", interrupted)
    assert cli.main(["pretrain", "photos", "--out", "run"]) == 130
    assert "--resume" in capsys.readouterr().err


def test_tables_for_people(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path))
    assert cli.main(["tasks"]) == 0
    text = capsys.readouterr().out
    assert "Gidaris, Singh, Komodakis, ICLR 2018" in text
    assert cli.main(["cache"]) == 0
    assert capsys.readouterr().out == "no packed store to list or remove\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_tasks_fit_a_terminal_of_80_columns_and_say_what_they_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "80")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    tasks = api.list_tasks()
    show("tasks", tasks)
    lines = terminal.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].split() == ["name", "kind", "summary"]
    assert lines[-1] == "a wider terminal and --json also show: needs, family, paper"
    firsts = [line.split()[0] for line in lines[:-1] if line.startswith("  ") and line[2:3].strip()]
    assert [task["name"] for task in tasks] == firsts[1:]
    assert next(task["summary"] for task in tasks if task["name"] == "rotation").startswith("Predict by which multiple")


def test_a_run_says_what_to_do_next(capsys: pytest.CaptureFixture[str]) -> None:
    show("pretrain", {"task": "rotation", "run": "my runs/a"})
    out = capsys.readouterr().out
    assert "selftaught evaluate 'my runs/a' " in out
    assert "selftaught report 'my runs/a'" in out


def test_the_cache_in_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    store = {"key": "0123456789abcdef", "path": "p", "bytes": 2_500_000, "kind": "images", "data": "photos"}
    show("cache", [store | {"samples": 12, "side": 64, "built": 0.0, "used": 0.0, "state": "", "removed": True}])
    words = capsys.readouterr().out.split()
    assert words[words.index("0123456789ab") :][:6] == ["0123456789ab", "photos", "images", "12", "64", "px"]


def test_tasks_and_encoders_as_json() -> None:
    tasks = json.loads(selftaught("tasks", "--json").stdout)
    assert {"name", "family", "kind", "needs", "summary", "paper", "year"} == set(tasks[0])
    encoders = json.loads(selftaught("encoders", "--json").stdout)
    assert {"name": "resnet18", "kind": "image"}.items() <= next(e for e in encoders if e["name"] == "resnet18").items()
    assert selftaught("--version").stdout.startswith("selftaught ")


@pytest.mark.parametrize(
    "words",
    [
        "--help",
        "tasks --json",
        "encoders --json",
        "--version",
        "cache --json",
        "pretrain --task simclr+rotation --help",
        *(f"{verb} --help" for verb in cli.VERBS),
    ],
)
def test_answers_without_torch(words: str) -> None:
    code = (
        "import sys; from selftaught.cli.main import main; code = main(sys.argv[1:]);"
        "heavy = {'torch', 'numpy', 'cv2', 'plotly'} & set(sys.modules); sys.exit(code or ' '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words.split()], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_answers_within_0_3_seconds() -> None:
    # Processor time of the child, least of five: what a quiet machine takes, measured on a busy one.
    times = []
    for _ in range(5):
        before = os.times()
        assert selftaught("--help").returncode == 0
        after = os.times()
        times.append(after.children_user + after.children_system - before.children_user - before.children_system)
        time.sleep(0.01)
    assert min(times) < 0.3


def test_python_dash_m(tmp_path: Path) -> None:
    done = selftaught("report", str(tmp_path / "nothing"))
    assert done.returncode == 2
    assert done.stderr.startswith("selftaught: error: ")
