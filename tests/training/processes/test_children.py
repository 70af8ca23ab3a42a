"""Further processes of a run: what they say, how their end is told, and that none outlives the first one."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from selftaught.cli.child import described
from selftaught.core.errors import ProcessError
from selftaught.core.signals import Terminated, stopping
from selftaught.training.processes.children import Child, Children

Start = Callable[[str], Children]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts one further process that runs these lines of a shell, after it has read its order into $order."""
    started = []

    def begin(lines: str) -> Children:
        script = tmp_path / "python"
        script.write_text(f"#!/bin/sh\nread order\n{lines}\n")
        script.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(script))
        started.append(Children({"steps": 3}, os.environ, 2))
        return started[-1]

    yield begin
    for children in started:
        children.end()


def test_a_process_gets_its_order_and_its_rank(start: Start, tmp_path: Path) -> None:
    children = start(
        f"""echo "$LOCAL_RANK $order" > {tmp_path}/got; echo '{{"ready": true}}'; echo '{{"done": true}}'"""
    )
    children.wait_until_ready()
    children.end(wait=60)  # as long as it is not done
    assert (tmp_path / "got").read_text() == '1 {"steps": 3}\n'
    assert children.error() is None


def test_what_a_process_found_is_kept_until_it_ends(start: Start) -> None:
    children = start("""echo '{"result": {"row": 3}}'; echo '{"done": true}'""")
    children.wait_until_done()
    children.end()
    assert children._all[0].result == {"row": 3}


@pytest.mark.parametrize(("lines", "failed"), [("""echo '{"done": true}'""", False), ("exit 3", True)])
def test_a_process_that_ended_is_heard_out_before_it_has_failed(
    start: Start, monkeypatch: pytest.MonkeyPatch, lines: str, failed: bool
) -> None:
    """The thread that listens may come last on a busy machine."""
    listen, may_listen = Child.listen, threading.Event()

    def late(child: Child) -> None:
        may_listen.wait()
        listen(child)

    monkeypatch.setattr("selftaught.training.processes.children.LAST_WORDS", 60.0)
    monkeypatch.setattr(Child, "listen", late)
    (child,) = start(lines)._all
    child.process.wait()
    threading.Timer(0.05, may_listen.set).start()
    assert child.has_failed == failed


def test_processes_that_do_not_meet_are_waited_for(start: Start) -> None:
    start("""sleep 0.1; echo '{"done": true}'""").wait_until_done()
    with pytest.raises(ProcessError, match="ended with exit code 7"):
        start("exit 7").wait_until_done()


@pytest.mark.parametrize(
    ("lines", "text", "code"),
    [
        ("kill -9 $$", "process 2 of 2 of the run was killed by SIGKILL, as the system does where memory runs out", 2),
        ("kill -11 $$", "process 2 of 2 of the run was killed by SIGSEGV; the same command with --resume", 2),
        ("exit 7", "process 2 of 2 of the run ended with exit code 7; the same command with --resume goes on", 2),
        ("""echo '{"text": "a bug", "code": 1, "is_value_error": false, "trace": "line 3"}'; exit 1""", "a bug", 1),
    ],
)
def test_the_end_of_a_process_is_one_line(start: Start, lines: str, text: str, code: int) -> None:
    children = start(lines)
    with pytest.raises(ProcessError) as caught:
        children.wait_until_ready()
    assert str(caught.value).startswith(text)
    assert caught.value.code == code


def test_what_a_process_found_wrong_is_raised_with_its_traceback(start: Start) -> None:
    error: BaseException
    try:
        raise ValueError("--size is too small")
    except ValueError as raised:
        error = raised
    told = described(error, {"data": "photos", "out": "run"})
    assert "test_children.py" in told["trace"]
    children = start("""echo '{"ready": true}'
echo '{"text": "--size is too small", "code": 2, "is_value_error": true, "trace": "of the other"}'; sleep 300""")
    children.wait_until_ready()
    found = children.error(60)
    assert type(found) is ValueError
    assert str(found) == "--size is too small"
    assert "of the other" in str(found.__cause__)


def test_the_kill_of_a_process_ends_what_the_first_one_does_alone(start: Start, tmp_path: Path) -> None:
    """Such as packing, while the other one waits."""
    begin, alone = time.monotonic(), tmp_path / "alone"

    def work() -> None:
        alone.touch()
        time.sleep(300)

    with stopping():
        children = start(f"echo '{{\"ready\": true}}'; until [ -e '{alone}' ]; do sleep 0.02; done; kill -9 $$")
        with pytest.raises(Terminated):
            work()
    assert time.monotonic() - begin < 200
    assert "was killed by SIGKILL" in str(children.error())


def test_no_process_goes_on_after_the_end(start: Start) -> None:
    children = start("echo '{\"ready\": true}'; sleep 300")
    children.wait_until_ready()
    begin = time.monotonic()
    children.end()
    assert time.monotonic() - begin < 200
    assert children.error() is not None  # it had not said that it is done
