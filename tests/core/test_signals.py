"""SIGTERM and Ctrl-C on the command line: one line, the exit code of the signal, and nothing half-written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import selftaught
from selftaught.cli import main as cli
from selftaught.cli.main import main
from selftaught.core import files, threads
from selftaught.training.checkpoint import load_checkpoint
from tests.two_processes import own_process

Told = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for i in range(24):
        (folder / "ab"[i % 2]).mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (40, 40, 3), np.uint8)).save(folder / "ab"[i % 2] / f"p{i}.png")
    return folder


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    selftaught.pretrain(data, out=out, task="rotation", size=32, batch_size=4, steps=1, encoder="timm:test_resnet")
    return out


def endless(data: Path, out: Path) -> list[str]:
    """The words of a run that ends by a signal alone."""
    small = "--size 32 --batch-size 4 --encoder timm:test_resnet"
    return ["pretrain", str(data), "--out", str(out), *f"--task rotation --steps 100000 --log-every 1 {small}".split()]


def check_interrupted(told: str, run: Path) -> None:
    assert told.splitlines()[-1] == (
        "selftaught: interrupted; the same command with --resume goes on from the last checkpoint"
    )
    assert "Traceback" not in told
    assert load_checkpoint(run / "checkpoints" / "last.safetensors")[1]["step"] >= 1
    assert not list(run.rglob(".*.part"))


def command(words: list[str], told: str) -> None:
    """The command line in a process of its own, its stderr in a file."""
    os.dup2(os.open(told, os.O_WRONLY | os.O_CREAT), 2)
    torch.set_num_threads(1)
    sys.exit(main(words))


def test_pretrain_saves_and_ends_with_the_code_of_sigterm(data: Path, tmp_path: Path) -> None:
    process = own_process(command, endless(data, tmp_path / "run"), str(tmp_path / "told"))
    while process.is_alive() and not (tmp_path / "run" / "speed.csv").exists():
        time.sleep(0.01)
    process.terminate()
    process.join(300)
    assert process.exitcode == 143
    check_interrupted((tmp_path / "told").read_text(), tmp_path / "run")


@pytest.mark.slow  # two commands that import torch
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_command_saves_and_ends_with_the_code_of_the_signal(
    data: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "selftaught", *endless(data, tmp_path / "run")],
        stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    ) as process:  # fmt: skip
        while process.poll() is None and not (tmp_path / "run" / "speed.csv").exists():
            time.sleep(0.01)
        process.send_signal(number)
        told = process.communicate(timeout=300)[1]
    assert process.returncode == code
    check_interrupted(told, tmp_path / "run")


@pytest.mark.parametrize("verb", ["embed", "evaluate", "report"])
def test_sigterm_ends_other_verbs_with_one_line(
    verb: str,
    run: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = {
        "embed": ["embed", str(run), str(data), "--out", str(tmp_path / "vectors.npy")],
        "evaluate": ["evaluate", str(run), str(data), "--probe", "knn", "--out", str(tmp_path / "figures")],
        "report": ["report", str(run), "--out", str(tmp_path / "page")],
    }[verb]
    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:  # in the midst of writing a file
        patch.setattr(files, "_flush_to_disk", lambda path: os.kill(os.getpid(), signal.SIGTERM))
        assert main(words) == 143
    assert capsys.readouterr().err.splitlines()[-1] == "selftaught: interrupted"
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in left if path.parent.parent.name != "features"]  # those are whole, and used again
    assert signal.getsignal(signal.SIGTERM) == before
    assert main(words) == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_error_that_a_library_makes_of_a_signal_is_no_bug(
    number: signal.Signals, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken_off(name: str) -> None:
        try:
            os.kill(os.getpid(), number)
            time.sleep(5)
        except KeyboardInterrupt:
            raise ImportError("cannot load module more than once per process") from None

    with monkeypatch.context() as patch:
        patch.setattr(cli, "verb_of", broken_off)
        assert main(["tasks"]) == code
    assert capsys.readouterr().err.strip() == "selftaught: interrupted"


def test_ctrl_c_before_the_verb_begins_is_one_line_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(threads, "prepare", lambda **_: os.kill(os.getpid(), signal.SIGINT))
    assert main(["tasks"]) == 130
    assert capsys.readouterr().err.strip() == "selftaught: interrupted"


EARLY = """
import os, runpy, signal, sys

class Finder:
    def find_spec(self, name, *_):
        if name == "selftaught.cli.main":
            assert "selftaught.api" not in sys.modules
            os.kill(os.getpid(), signal.{number})

sys.meta_path.insert(0, Finder())
runpy.run_module("selftaught", run_name="__main__")
"""
BROKEN_OFF = """
import sys
from selftaught.cli import main as cli

def prepare(**_):
    exec("raise KeyboardInterrupt")

cli.threads.prepare = prepare
sys.exit(cli.main(["tasks"]))
"""


@pytest.mark.parametrize(
    ("code", "told"), [(EARLY.format(number="SIGINT"), 130), (EARLY.format(number="SIGTERM"), 143), (BROKEN_OFF, 130)]
)
def test_a_signal_while_the_command_is_imported_is_one_line(tmp_path: Path, code: str, told: int) -> None:
    (tmp_path / "early.py").write_text(code)
    words = [sys.executable, "-m", "early"]
    found = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert (found.returncode, found.stderr.strip()) == (told, "selftaught: interrupted")


def test_an_ignored_sigterm_stays_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        assert main(["--version"]) == 0
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)
