"""One process that runs command lines one after the other, so that torch is imported once; see `Worker`."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """Exit status (None: no answer in time), what was printed, and the megabytes it took above the worker's own."""

    status: int | None
    out: str
    err: str
    megabytes: float


class Worker:
    """Runs `selftaught WORDS` in a process of its own, which is replaced when it hangs."""

    def __init__(self, cwd: Path, cache: Path) -> None:
        self._cwd, self._cache = cwd, cache
        self._process = self._start()

    def _start(self) -> subprocess.Popen[str]:
        environment = os.environ | {"SELFTAUGHT_CACHE": str(self._cache), "OMP_WAIT_POLICY": "PASSIVE"}
        return subprocess.Popen(
            [sys.executable, __file__],
            cwd=self._cwd,
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def run(self, words: Sequence[str], *, seconds: float = 120.0) -> Outcome:
        assert self._process.stdin is not None
        answers = self._process.stdout
        assert answers is not None
        self._process.stdin.write(json.dumps(list(words)) + "\n")
        self._process.stdin.flush()
        if not select.select([answers], [], [], seconds)[0]:
            self.close()
            self._process = self._start()
            return Outcome(None, "", f"no answer in {seconds:.0f} s", 0.0)
        line = answers.readline()
        if not line:
            status = self._process.wait()
            self._process = self._start()
            return Outcome(status, "", "the process died", 0.0)
        return Outcome(**json.loads(line))

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def _megabytes(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))


def _serve() -> None:
    """Answer each line of words with a line of JSON; what the verb prints is caught by its file descriptors."""
    answers = os.fdopen(os.dup(1), "w")
    from selftaught.cli.main import main

    for line in sys.stdin:
        with tempfile.TemporaryFile("w+b") as out, tempfile.TemporaryFile("w+b") as err:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
            before = _megabytes("VmRSS")
            try:
                status = main(json.loads(line))
            except SystemExit as ended:
                status = ended.code if isinstance(ended.code, int) else 1
            except BaseException as error:
                status = 1
                sys.stderr.write(f"Traceback: {error!r}\n")
            sys.stdout.flush()
            sys.stderr.flush()
            out.seek(0)
            err.seek(0)
            answer = {
                "status": status,
                "out": out.read().decode("utf-8", "replace")[-20_000:],
                "err": err.read().decode("utf-8", "replace")[-20_000:],
                "megabytes": _megabytes("VmHWM") - before,
            }
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    _serve()
