from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import typing
from typing import Any

import pytest

from selftaught import api
from selftaught.cli import flags
from selftaught.cli import main as cli
from selftaught.core.settings.keywords import RunSettings


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
    options = cli.further_options(flags.read_verb(api.compare), ["--tasks", "rotation,simclr+rotation"])[
        "task_settings"
    ]
    assert {"angles", "rotation.angles", "simclr.temperature", "weights"} <= {option.name for option in options}


def test_compare_gives_each_setting_its_type(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["--tasks", "simclr,rotation", "--task.angles=2"]
    verb = flags.read_verb(api.compare)
    options = cli.further_options(verb, words)["task_settings"]
    assert {"angles", "temperature"} <= {option.name for option in options}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("pretrian", "unknown command 'pretrian'; did you mean pretrain?"),
        ("--vresion", "unknown flag --vresion; did you mean --version?"),
        ("pretrain photos", "pretrain needs --out, the run folder to write; only --dry-run does without"),
        ("pretrain photos more --out run", "'more' is one argument too many"),
        ("pretrain photos --out run --siez 64", "unknown flag --siez; did you mean --size"),
        ("pretrain photos --out run --size big", "--size must be a whole number in [8, 8192], got 'big'"),
        ("pretrain photos --out run --stem smal", "got 'smal'; did you mean small?"),
        ("pretrain photos --out run --size 4", "--size must be in [8, 8192], got 4"),
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
        ("guess", "unknown command 'guess'; Known:"),
        ("linear", "unknown command 'linear'; Known:"),
        ("pretrain photos --out run --method rotation", "unknown flag --method; did you mean --task?"),
        ("pretrain photos --out run --backbone resnet18", "did you mean --encoder?"),
        ("pretrain photos --out run --img-size 64", "did you mean --size?"),
        ("pretrain photos --output run --out run", "did you mean --out?"),
        ("pretrain photos --out run --learning-rate 1", "did you mean --lr?"),
        ("pretrain photos --out run --bs 8", "did you mean --batch-size?"),
        ("compare photos --out run --tasks rotation --method rotation", "did you mean --tasks?"),
        ("pretrain photos --out run --batch_size 8", "unknown flag --batch_size; did you mean --batch-size?"),
        ("pretrain photos --out run --num_workers 2", "did you mean --workers?"),
        ("pretrain photos --out run --checkpoint w.pth", "did you mean --weights?"),
        ("evaluate run photos --ckpt last", "did you mean --checkpoint?"),
        ("pretrain --data photos --out run", "unknown flag --data; did you mean DATA?"),
        ("pretrain photos --out run --gpus 2", "did you mean --devices?"),
        ("pretrain photos --out run --task byol", "unknown task 'byol'; the nearest here is moco. Known: am"),
        ("pretrain photos --out run --task MoCo-v2", "unknown task 'MoCo-v2'; the nearest here is moco."),
        ("pretrain photos --out run --task DeepClusterV2", "the nearest here is clustering."),
        ("compare photos --out run --tasks simsiam,rotnet", "unknown task 'simsiam'; the nearest here is simclr."),
        ("pretrain photos --out run --pretrained w.pth", "did you mean --weights?"),
        ("pretrain demo --out run --weights gone.pth", "weights gone.pth: gone.pth does not exist; give a file"),
        ("pretrain demo --out run --encoder resnet18:gone.pth", "weights gone.pth: gone.pth does not exist"),
        ("pretrain demo --out run --encoder-lr 0.1", "--encoder-lr 0.1 is for an encoder that starts from weights"),
        ("embed resnet18:gone.pth demo --out x.npy", "weights gone.pth: gone.pth does not exist"),
        ("export resnet18:gone.pth --out x.pth", "weights gone.pth: gone.pth does not exist"),
        ("search resnet18:gone.pth demo --query x.png", "weights gone.pth: gone.pth does not exist"),
        ("report resnet18:gone.pth", "gone-evaluated"),
        ("export gone --out x.pth", "gone is no run folder; give the --out of a pretrain command, ENCODER:FILE"),
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


def test_tasks_and_encoders_as_json() -> None:
    tasks = json.loads(selftaught("tasks", "--json").stdout)
    assert {"name", "family", "kind", "needs", "summary", "encoders", "paper", "year"} == set(tasks[0])
    encoders = json.loads(selftaught("encoders", "--json").stdout)
    assert {"name": "resnet18", "kind": "image"}.items() <= next(e for e in encoders if e["name"] == "resnet18").items()
    assert selftaught("--version").stdout.startswith("selftaught ")


HEAVY_AFTER = """
import json, sys
from selftaught.cli.main import main
found = {}
for words in sys.stdin.read().splitlines():
    code = main(words.split())
    found[words] = [code, *sorted({"torch", "numpy", "cv2", "plotly"} & set(sys.modules))]
print(json.dumps(found))
"""


def test_answers_without_torch() -> None:
    """One process answers all, as each starts in the same way; what one of them imports is there for the next."""
    words = ["--help", "tasks --json", "encoders --json", "--version", "cache --json"]
    words += ["pretrain --task simclr+rotation --help", *(f"{verb} --help" for verb in cli.VERBS)]
    done = subprocess.run(
        [sys.executable, "-c", HEAVY_AFTER], input="\n".join(words), capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == {one: [0] for one in words}


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


def test_python_dash_m() -> None:
    done = selftaught("tasks", "nothing")
    assert done.returncode == 2
    assert done.stderr.startswith("selftaught: error: ")
