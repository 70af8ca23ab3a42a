"""Several processes: they stop together, an error is one line of one of them, and nothing stops the next run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from selftaught.cli.main import main
from selftaught.core.config import RunConfig
from selftaught.core.distributed import is_distributed, of_world
from selftaught.core.signals import Stop
from selftaught.evaluation.compare import compare_tasks
from selftaught.training.checkpoint import load_checkpoint
from selftaught.training.processes.group import StopTogether, is_of_connection
from selftaught.training.train import train

DATA = "synthetic:N=48,side=32"
WORDS = f"pretrain {DATA} --task rotation --size 32 --batch-size 8 --steps 2 --precision 32-true".split()


def test_a_refusal_with_two_devices_is_one_line_and_leaves_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("mine")
    assert main([*WORDS, "--out", str(tmp_path / "run"), "--devices", "2"]) == 2
    told = capfd.readouterr().err
    assert len(told.strip().splitlines()) == 1, told
    assert "holds other files" in told
    settings = RunConfig.of(
        data=DATA, out=str(tmp_path / "run"), task="rotation", size=32, batch_size=8, steps=1, devices=2
    )
    before = dict(os.environ)
    with pytest.raises(ValueError, match="holds other files"):
        train(settings)
    assert dict(os.environ) == before
    assert not dist.is_initialized()


def test_torchrun_of_more_processes_than_devices_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    settings = RunConfig.of(data=DATA, out=str(tmp_path / "run"), task="rotation", size=32, batch_size=8, steps=1)
    with pytest.raises(ValueError, match=r"^torchrun started 2 processes, --devices is 1; give --devices 2$"):
        train(settings)
    assert not (tmp_path / "run").exists()


def test_a_run_of_one_process_gathers_nothing_beside_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    assert is_distributed()
    with of_world(1):
        assert not is_distributed()
    with of_world(2):
        assert is_distributed()


def test_compare_is_refused_in_the_processes_of_torchrun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="compare starts its processes itself; run it without torchrun"):
        compare_tasks(RunConfig.of(data=DATA, out=str(tmp_path / "out")), ["rotation"])


def test_torchrun_has_one_process_that_reports_and_one_that_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("WORLD_SIZE", "2")
    told = []
    for rank in ("0", "1"):
        monkeypatch.setenv("LOCAL_RANK", rank)
        monkeypatch.setenv("RANK", rank)
        assert main([*WORDS, "--out", str(tmp_path / "run")]) == 2
        told.append(capsys.readouterr().err)
    assert told[0] == "selftaught: error: torchrun started 2 processes, --devices is 1; give --devices 2\n"
    assert told[1] == ""


def test_one_process_stops_after_the_step_in_which_it_was_asked() -> None:
    stop, together = Stop(), StopTogether(1)
    stop.is_patient = True
    together.after_step(stop, is_end=False)
    together.end_unless(stop, False)
    stop.handle(signal.SIGINT, None)
    together.end_unless(stop, False)  # this step's checkpoint was not written
    together.after_step(stop, is_end=False)
    assert stop.is_save_due()
    with pytest.raises(KeyboardInterrupt):
        together.end_unless(stop, False)


def test_a_cut_connection_is_distinguished_from_other_errors() -> None:
    gloo = "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:537] Connection closed by peer [127.0.0.1]:4587"
    assert is_of_connection(RuntimeError(gloo))
    assert is_of_connection(dist.DistBackendError("NCCL error"))
    assert not is_of_connection(RuntimeError("DefaultCPUAllocator: not enough memory"))
    assert not is_of_connection(ValueError(gloo))


TROUBLE = """
import os
import signal

from selftaught.data.inputs import Image
from selftaught.tasks.base import PretextTask
from selftaught.tasks.context.rotation import Rotation


class Trouble(Rotation, PretextTask):
    \"\"\"Rotation in which one process does what it is asked to after a step: WHAT:RANK:STEP.\"\"\"

    @classmethod
    def inputs(cls, config):
        return {"image": Image()}

    def after_step(self, step, total):
        what, rank, at = os.environ.get("TROUBLE", "nothing:0:0").split(":")
        if os.environ.get("LOCAL_RANK", "0") != rank or step != int(at):
            return
        if what == "value":
            raise ValueError("this sample is broken")
        if what == "disk":
            raise OSError(28, "No space left on device", "store")
        if what != "nothing":
            os.kill(os.getpid(), getattr(signal, what))
"""


def of_two(tmp_path: Path, out: str, trouble: str, *words: str) -> list[str]:
    """The words of a run of two processes of 8 steps with this trouble; each step is logged and saved."""
    task = tmp_path / "trouble.py"
    task.write_text(TROUBLE)
    os.environ["TROUBLE"] = trouble
    run = (
        f"pretrain {DATA} --size 32 --batch-size 8 --steps 8 --precision 32-true --stem standard --log-every 1".split()
    )
    return [*run, "--task", str(task), "--out", str(tmp_path / out), "--devices", "2", *words]


def saved(tmp_path: Path, out: str) -> tuple[int, dict[str, torch.Tensor]]:
    """The step and the tensors of the last checkpoint."""
    tensors, meta = load_checkpoint(tmp_path / out / "checkpoints" / "last.safetensors")
    return meta["step"], tensors


@pytest.fixture(autouse=True)
def _no_trouble_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TROUBLE", "")


@pytest.mark.slow  # each of the 7 starts of a second process takes 3 to 5 s
def test_two_processes_stop_after_one_step_and_go_on_exactly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, threads = dict(os.environ), torch.get_num_threads()
    # Warnings are errors here: gradients have the strides that DistributedDataParallel expects.
    for out, trouble, code in (("term", "SIGTERM:0:2", 143), ("int", "SIGINT:0:2", 130)):
        assert main(of_two(tmp_path, out, trouble)) == code
        told = capsys.readouterr().err.strip().splitlines()
        assert told[-1] == "selftaught: interrupted; the same command with --resume goes on from the last checkpoint"
        assert not [line for line in told if "Traceback" in line or "error" in line]
        assert 3 <= saved(tmp_path, out)[0] <= 5
        assert main(of_two(tmp_path, out, "nothing:0:0", "--resume")) == 0
    assert main(of_two(tmp_path, "whole", "nothing:0:0")) == 0
    whole = saved(tmp_path, "whole")
    for out in ("term", "int"):
        step, tensors = saved(tmp_path, out)
        assert step == whole[0]
        assert all(tensors[name].equal(value) for name, value in whole[1].items())
        assert (tmp_path / out / "metrics.csv").read_bytes() == (tmp_path / "whole" / "metrics.csv").read_bytes()
    assert {**os.environ, "TROUBLE": ""} == before
    assert torch.get_num_threads() == threads
    assert not dist.is_initialized()


def test_an_error_of_any_process_is_one_line_and_the_checkpoint_stays(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """One start of a second process, which takes 3 to 5 s; the other errors are tested slowly."""
    assert main(of_two(tmp_path, "run", "value:1:3", "--checkpoint-every", "1")) == 2
    errors = [line for line in capfd.readouterr().err.splitlines() if "error" in line.lower() or "Trace" in line]
    assert len(errors) == 1
    assert errors[0].startswith("selftaught: error: this sample is broken")
    assert saved(tmp_path, "run")[0] in (3, 4)
    assert not dist.is_initialized()


@pytest.mark.slow  # each starts a second process, which takes 3 to 5 s
@pytest.mark.parametrize(
    ("trouble", "words", "text"),
    [
        ("SIGKILL:1:3", (), "process 2 of 2 of the run was killed by SIGKILL"),
        ("disk:0:3", (), "store: No space left on device"),
        ("nothing:0:0", ("--lr", "1e30"), "the loss is nan at step"),
        ("value:1:3", ("--debug",), "this sample is broken"),
    ],
)
def test_errors_of_two_processes(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], trouble: str, words: tuple[str, ...], text: str
) -> None:
    begin = time.monotonic()
    assert main(of_two(tmp_path, "run", trouble, "--checkpoint-every", "1", *words)) == 2
    told = capfd.readouterr().err
    assert told.splitlines()[-1].startswith(f"selftaught: error: {text}")
    assert told.count("selftaught: error:") == 1
    assert ("Traceback" in told) == ("--debug" in words)
    assert "trouble.py" in told or "--debug" not in words  # the traceback is that of the other process
    assert saved(tmp_path, "run")[0] >= 1
    assert time.monotonic() - begin < 60


@pytest.mark.slow  # torchrun and two processes take 8 to 15 s to start
@pytest.mark.parametrize(
    ("trouble", "text", "step"),
    [
        ("value:1:3", "error: this sample is broken", 3),
        ("SIGKILL:1:3", "error: another process of the run ended", 3),
        ("SIGTERM:1:2", "interrupted", 3),
        ("nothing:0:0", "", 8),
    ],
)
def test_processes_of_torchrun_say_it_once(tmp_path: Path, trouble: str, text: str, step: int) -> None:
    words = of_two(tmp_path, "run", trouble, "--checkpoint-every", "1")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    ended = subprocess.run(
        [*torchrun, "-m", "selftaught", *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.stderr.count("selftaught: ") == (1 if text else 0)
    assert f"selftaught: {text}" in ended.stderr or not text
    assert (ended.returncode == 0) == (not text)
    assert ended.stdout.count("rankme") == (0 if text else 1)
    assert saved(tmp_path, "run")[0] >= step
