"""What a further process of a run tells the first one."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import pytest

from selftaught.cli.child import described, tell


def test_a_process_ends_where_the_first_one_is_gone() -> None:
    held, closed = os.pipe()
    waiting = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import time; from selftaught.cli import child; child._end_with_first(); time.sleep(300)",
        ],
        stdin=held,
    )
    os.close(held)
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(0.2)
    os.close(closed)
    assert waiting.wait(200) == 1


def test_an_error_is_reported_with_its_line_its_code_and_its_traceback() -> None:
    try:
        raise ValueError("--size is too small")
    except ValueError as error:
        told = described(error, {"data": "photos", "out": "run"})
    assert told["text"].startswith("--size is too small")
    assert (told["code"], told["is_value_error"]) == (2, True)
    assert "test_child.py" in told["trace"]
    full = described(OSError(28, "No space left on device", "run/metrics.csv"), {"data": "photos", "out": "run"})
    assert full["text"].startswith("--out run: run/metrics.csv: No space left on device")
    assert not full["is_value_error"]
    assert described(SystemExit(3), {"data": "photos", "out": "run"})["code"] == 1


def test_a_message_is_a_line_of_json() -> None:
    first = io.StringIO()
    tell(first, ready=True)
    tell(first, text="two\nlines")
    assert [json.loads(line) for line in first.getvalue().splitlines()] == [{"ready": True}, {"text": "two\nlines"}]
