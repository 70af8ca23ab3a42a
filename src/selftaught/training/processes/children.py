"""The processes that a run on several devices starts beside its own: how they are started, heard and ended.

They run `selftaught.cli.child` and nothing else, so a script that calls the library is not run again by each of them,
as it is with Fabric's own launcher. That one also kills the first process where another one fails, before it could
say why.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NoReturn

from selftaught.core.errors import EXPLAINED, ProcessError

GRACE = 10.0
"""Seconds in which this process must have noticed that another one ended; then it is ended from outside."""
LAST_WORDS = 5.0
"""Seconds to wait for what a process that cut the connection, or ended, has to say."""
ADVICE = "the same command with --resume goes on from the last checkpoint, a lower --batch-size needs less memory"
"""What to do where a process of a run was killed."""


class TracebackOf(Exception):  # noqa: N818 - never raised: it is only shown, as the cause of an error
    """The traceback of another process."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


class Child:
    """One further process: given its settings by a line on its stdin, heard on its stdout.

    `advice` is what to do where it was killed. Its stderr is this process's, or a pipe where it `is_heard`.
    """

    def __init__(
        self,
        order: Mapping[str, Any],
        environment: Mapping[str, str],
        name: str,
        advice: str = ADVICE,
        *,
        is_heard: bool = False,
    ) -> None:
        self.name, self.advice = name, advice
        self.result: dict[str, Any] | None = None
        self.report: dict[str, Any] | None = None
        self.is_ready, self.is_done, self.is_heard_out = threading.Event(), threading.Event(), threading.Event()
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "selftaught.cli.child"],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            stderr=subprocess.PIPE if is_heard else None,
            start_new_session=True,  # Ctrl-C in a terminal is for the first process, which asks the others to stop
        )  # fmt: skip
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended, which its exit code says
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()

    def listen(self) -> None:
        """Take what it says until it ends."""
        assert self.process.stdout is not None
        try:
            with self.process.stdout as lines:
                for line in lines:
                    message = json.loads(line)
                    if "text" in message:
                        self.report = message
                    self.result = message.get("result", self.result)
                    (self.is_ready if "ready" in message else self.is_done).set()
        finally:
            self.is_heard_out.set()
        self.process.wait()

    @property
    def has_failed(self) -> bool:
        """Whether it ended, or is about to, without having done its work."""
        if self.report is None and self.process.poll() is not None:
            self.is_heard_out.wait(LAST_WORDS)  # its last line can be unread yet, or its stdout held by what it started
            return self.report is not None or not self.is_done.is_set()
        return self.report is not None

    def error(self) -> Exception:
        """What it says went wrong, or how it ended where it said nothing."""
        if self.report is not None:
            text, code = str(self.report["text"]), int(self.report["code"])
            error = ValueError(text) if self.report["is_value_error"] else ProcessError(text, code)
            error.__cause__ = TracebackOf(self.report["trace"])
            return error
        code = self.process.wait()
        how = f"ended with exit code {code}"
        if code < 0:
            how = f"was killed by {signal.Signals(-code).name}"
            how += ", as the system does where memory runs out" if -code == signal.SIGKILL else ""
        return ProcessError(f"{self.name} of the run {how}; {self.advice}", EXPLAINED)

    def end(self) -> None:
        """End it now, and what it started; it has nothing to save."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()


class Children:
    """All further processes of this node.

    Args:
        order: what each of them is to do, which JSON can hold.
        environment: of rank 0; each other one has its own LOCAL_RANK.
        count: processes of this node, this one among them.
        advice: what to do where one of them was killed.
    """

    def __init__(
        self, order: Mapping[str, Any], environment: Mapping[str, str], count: int, *, advice: str = ADVICE
    ) -> None:
        self._is_closing = threading.Event()
        self._is_main = threading.current_thread() is threading.main_thread()
        paths = [path or os.getcwd() for path in sys.path]  # noqa: PTH109 - text for the environment
        self._all: list[Child] = []
        self._threads: list[threading.Thread] = []
        try:
            for rank in range(1, count):
                own = {**environment, "LOCAL_RANK": str(rank), "PYTHONPATH": os.pathsep.join(paths)}
                child = Child(order, own, f"process {rank + 1} of {count}", advice)
                self._all.append(child)
                thread = threading.Thread(target=self._watch, args=(child,), daemon=True)
                thread.start()
                self._threads.append(thread)
        except BaseException:
            self.end()
            raise

    def wait_until_ready(self) -> None:
        """Until each is about to meet the others; before, nothing would end the wait for one that failed."""
        for child in self._all:
            while not child.is_ready.wait(0.05):
                if child.has_failed:
                    raise child.error()

    def wait_until_done(self) -> None:
        """Until each has done its work; for processes that do not meet."""
        for child in self._all:
            while not child.is_done.wait(0.05):
                if child.has_failed:
                    raise child.error()

    def error(self, wait: float = 0.0) -> Exception | None:
        """What one of them ended with; None where all go on, or did their work, for `wait` seconds."""
        until = time.monotonic() + wait
        while True:
            failed = [child for child in self._all if child.has_failed]
            if failed:
                return next((child for child in failed if child.report), failed[0]).error()
            if time.monotonic() >= until:
                return None
            time.sleep(0.02)

    def end(self, *, wait: float = 0.0) -> None:
        """End all, those that are done after `wait` seconds at most."""
        self._is_closing.set()
        until = time.monotonic() + wait
        for child in self._all:
            child.is_done.wait(max(0.0, until - time.monotonic()))
            child.end()
        for thread in self._threads:
            thread.join()

    def _watch(self, child: Child) -> None:
        child.listen()
        if self._is_closing.is_set() or not child.has_failed:
            return
        if self._is_main and callable(signal.getsignal(signal.SIGTERM)):
            # Where it computes on its own, it would not notice. `_thread.interrupt_main` does not end a wait.
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
        if not self._is_closing.wait(GRACE):  # it waits for the other one, as with NCCL, and would for ever
            _give_up(child.error())


def _give_up(error: Exception) -> NoReturn:
    """End this process from a thread of its own."""
    print(f"selftaught: error: {error}", file=sys.stderr, flush=True)
    os._exit(error.code if isinstance(error, ProcessError) else EXPLAINED)
