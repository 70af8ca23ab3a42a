from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import selftaught
from selftaught.core import threads

NAMES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS")
SHOW = f"import os, sys; print([os.environ.get(n) for n in {NAMES}], 'torch' in sys.modules)"


def child(code: str, **environment: str) -> str:
    clean = {name: value for name, value in os.environ.items() if name not in NAMES}
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean | environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_the_command_line_sets_them_before_torch_is_loaded() -> None:
    cores = str(threads.available_cores())
    code = f"from selftaught.cli.main import main; main(['tasks', '--json']); {SHOW}"
    assert child(code).splitlines()[-1] == f"['PASSIVE', '0', '{cores}'] False"


def test_the_library_sets_nothing() -> None:
    assert child(f"import selftaught, selftaught.api; {SHOW}") == "[None, None, None] False"


def test_what_the_user_set_stays() -> None:
    code = f"from selftaught.core import threads; threads.prepare(); {SHOW}"
    assert child(code, OMP_WAIT_POLICY="ACTIVE", OMP_NUM_THREADS="1") == "['ACTIVE', None, '1'] False"


def test_torch_computes_with_the_threads_chosen() -> None:
    code = "from selftaught.core import threads; threads.prepare(); import torch; print(torch.get_num_threads())"
    assert child(code) == str(threads.available_cores())


@pytest.mark.parametrize(("text", "cores"), [("150000 100000", 2), ("max 100000", 8), ("100000 100000", 1), ("", 8)])
def test_a_containers_quota_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, cores: int) -> None:
    (tmp_path / "cpu.max").write_text(text)
    monkeypatch.setattr(threads, "_QUOTAS", (tmp_path / "cpu.max",))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert threads.available_cores() == cores


def test_a_version_1_quota_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpu.cfs_quota_us").write_text("300000\n")
    (tmp_path / "cpu.cfs_period_us").write_text("100000\n")
    monkeypatch.setattr(threads, "_QUOTAS", (tmp_path / "absent", tmp_path / "cpu.cfs_quota_us"))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert threads.available_cores() == 3


def test_idle_cores_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu 100 0 0 100 0 0 0 0\n")
    monkeypatch.setattr(threads, "_STAT", stat)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    looks = iter(["cpu 180 0 0 120 20 0 0 0\n", "cpu 210 0 0 200 30 0 0 0\n", "cpu 270 0 0 260 30 0 0 0\n"])
    monkeypatch.setattr("time.sleep", lambda _: stat.write_text(next(looks)))
    assert threads.idle_cores(looks=3) == pytest.approx(4 * 90 / 120)  # the second look: 90 of 120 ticks were idle
    monkeypatch.setattr(threads, "_STAT", tmp_path / "absent")
    assert threads.idle_cores() == float("inf")


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable is set, and none that is set from here on stays after the test."""
    for name in NAMES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def test_a_verb_that_computes_leaves_busy_cores_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    forget(monkeypatch)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(threads, "available_cores", lambda: 4)
    for idle, number in ((4.0, "4"), (2.8, "3"), (2.5, "2"), (0.1, "1"), (60.0, "4")):
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        monkeypatch.setattr(threads, "idle_cores", lambda idle=idle: idle)
        threads.prepare(is_computing=True)
        assert os.environ["OMP_NUM_THREADS"] == number
        threads.prepare()


def test_a_program_may_ask_for_them() -> None:
    cores = str(threads.available_cores())
    told = child(
        f"from selftaught.core import threads; threads.idle_cores = lambda: 64.0; threads.use_threads(); {SHOW}"
    )
    assert told == f"['PASSIVE', '0', '{cores}'] False"
    assert child(f"import selftaught; selftaught.use_threads(); {SHOW}", OMP_NUM_THREADS="1") == (
        "['PASSIVE', '0', '1'] False"
    )


def test_too_late_for_how_threads_wait_but_not_for_their_number(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    forget(monkeypatch)
    monkeypatch.setitem(threads._state, "is_prepared", False)
    monkeypatch.setattr(threads, "free_cores", lambda: 3)
    before = torch.get_num_threads()
    try:
        selftaught.use_threads()
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert "before the first import of torch" in capsys.readouterr().err


def test_a_program_is_reminded_once_on_a_busy_machine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    forget(monkeypatch)
    monkeypatch.setattr(threads, "available_cores", lambda: 4)
    for idle, count in ((1.0, 1), (4.0, 0)):
        monkeypatch.setitem(threads._state, "is_prepared", False)
        monkeypatch.setattr(threads, "idle_cores", lambda idle=idle: idle)
        threads.remind_of_threads()
        threads.remind_of_threads()
        assert capsys.readouterr().err.count("selftaught.use_threads()") == count
    monkeypatch.setitem(threads._state, "is_prepared", False)
    monkeypatch.setattr(threads, "idle_cores", lambda: 0.0)
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    threads.remind_of_threads()
    assert capsys.readouterr().err == ""


def test_a_command_counts_from_its_start() -> None:
    code = (
        "import time; time.sleep(0.3); from selftaught.core import threads; threads.prepare(is_program=True)\n"
        "print(0.3 < time.monotonic() - threads.began() < 30)"
    )
    assert child(code) == "True"
    assert threads.began() == pytest.approx(time.monotonic(), abs=0.5)
