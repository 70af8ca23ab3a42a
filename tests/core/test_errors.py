"""Whatever goes wrong, people are told in one line: what, where, by which flag, and what to do."""

from __future__ import annotations

import errno
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from selftaught.cli import main as cli
from selftaught.core.errors import explain, own_code, with_argument
from selftaught.core.plain import paths_of

GIVEN = {"DATA": "photos", "--out": "runs/a"}


def told(error: Exception, *, given: dict[str, str] = GIVEN, is_training: bool = False) -> tuple[str, int]:
    text, code = explain(error, given=given, is_training=is_training)
    assert "\n" not in text
    assert "Traceback" not in text
    return text, code


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "No space left on device; free some space"),
        (errno.EFBIG, "File too large; raise the limit with `ulimit -f`"),
        (errno.EROFS, "Read-only file system; give a place that can be written to"),
        (errno.EACCES, "Permission denied; give another place"),
        (errno.ENOTDIR, "Not a directory; a part of this path is a file"),
        (errno.EISDIR, "Is a directory; give a file"),
        (errno.ENAMETOOLONG, "File name too long; give a shorter name"),
        (errno.ELOOP, "its links lead in a circle"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_a_system_error_names_the_flag_and_the_file(number: int, words: str) -> None:
    text, code = told(OSError(number, os.strerror(number), "runs/a/metrics.csv"))
    assert text.startswith("--out runs/a: runs/a/metrics.csv: ")
    assert words in text
    assert code == 2
    assert told(OSError(number, os.strerror(number), "photos/x.png"))[0].startswith("DATA photos: photos/x.png: ")


def test_a_folder_above_the_one_asked_for_is_reported_by_its_flag() -> None:
    assert told(NotADirectoryError(errno.ENOTDIR, "Not a directory", "runs"))[0].startswith("--out runs/a: runs: ")


def test_a_full_disk_without_a_name_is_reported_by_the_flag_that_writes(tmp_path: Path) -> None:
    assert told(OSError(errno.ENOSPC, "No space left on device"))[0].startswith("--out runs/a or the cache folder")
    with pytest.raises(safetensors.SafetensorError) as caught:
        safetensors.torch.save_file({"a": torch.zeros(2)}, tmp_path / "no folder" / "a.safetensors")
    text, code = told(caught.value)
    assert "No such file or directory" in text
    assert code == 2
    full = safetensors.SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
    assert told(full)[0].startswith("--out runs/a or the cache folder (SELFTAUGHT_CACHE): No space left on device")


def test_every_verb_with_a_path_names_it() -> None:
    for name in cli.VERBS:
        function = cli.verb_of(name).function
        signature = inspect.signature(function)
        takes_paths = bool(paths_of(signature, dict.fromkeys(signature.parameters, "x")))
        assert hasattr(function, "__wrapped__") >= takes_paths, name


def test_what_is_no_error_of_the_system_stays_as_it_is() -> None:
    assert with_argument(ValueError("x cannot be read: [Errno 13] Permission denied"), GIVEN) is None
    assert with_argument(KeyError("x"), GIVEN) is None
    full = with_argument(RuntimeError("PytorchStreamWriter failed writing file"), GIVEN)
    assert "--out runs/a or the cache folder" in str(full)
    assert with_argument(BrokenPipeError(errno.EPIPE, "Broken pipe"), {}).__class__ is BrokenPipeError
    assert str(with_argument(OSError("no number"), GIVEN)).endswith("no number")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_what_torch_says_of_a_full_disk() -> None:
    with pytest.raises((RuntimeError, OSError)) as caught:
        torch.save({"a": torch.zeros(300_000)}, "/dev/full")
    assert told(caught.value)[1] == 2


@pytest.mark.parametrize(
    "raising",
    [
        lambda: torch.empty(2**60),
        lambda: bytearray(2**62),
        lambda: __import__("numpy").empty(2**57),
        lambda: (_ for _ in ()).throw(OSError(errno.ENOMEM, "Cannot allocate memory")),
    ],
)
def test_out_of_memory_says_what_to_lower(raising: Callable[[], Any]) -> None:
    try:
        result = raising()
        next(result)
    except Exception as error:
        text, code = told(error, is_training=True)
    assert text.startswith("the memory does not suffice (")
    assert "lower --batch-size or --size" in text
    assert code == 2


def test_the_users_own_code_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "own_task.py").write_text("def loss():\n    return {}['accuracy']\n")
    scope: dict[str, Any] = {}
    exec(compile((tmp_path / "own_task.py").read_text(), str(tmp_path / "own_task.py"), "exec"), scope)
    with pytest.raises(KeyError) as caught:
        scope["loss"]()
    text, code = told(caught.value)
    assert f"KeyError: no 'accuracy' at {tmp_path / 'own_task.py'}:2, which is your own code" in text
    assert code == 2


def test_the_line_of_the_users_code_is_named_also_where_a_library_fails_below_it() -> None:
    why = rf"^loss fails at {__file__}:\d+: TypeError: .* JSON serializable$"
    with pytest.raises(ValueError, match=why), own_code("loss"):
        json.dumps(object())
    for error in (OSError("disk"), ValueError("a sentence"), ModuleNotFoundError("no", name="torchh")):
        with pytest.raises(type(error)) as caught, own_code("loss"):
            raise error
        assert caught.value is error


def test_what_nobody_foresaw_is_one_line_with_its_place(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from selftaught.report import page
    from selftaught.report.facts import read

    monkeypatch.setattr(read, "_json", len)
    monkeypatch.setattr(Path, "is_file", lambda self: True)
    monkeypatch.setattr(Path, "is_dir", lambda self: True)
    monkeypatch.setattr(page, "check_file", lambda path, overwrite: None)
    assert cli.main(["report", "folder"]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith("selftaught: error: TypeError: object of type 'PosixPath' has no len() at selftaught/report/")
    assert "this is a bug of selftaught" in err
    assert "run again with --debug for the traceback" in err
    assert cli.main(["report", "folder", "--debug"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err
    monkeypatch.setenv("SELFTAUGHT_DEBUG", "1")
    cli.main(["report", "folder"])
    assert "Traceback" in capsys.readouterr().err


def test_a_bug_of_ours_is_called_one() -> None:
    with pytest.raises(AttributeError) as caught:
        explain(None, given=None)  # type: ignore[arg-type]
    text, code = told(caught.value)
    assert "selftaught/core/errors.py:" in text
    assert "this is a bug of selftaught" in text
    assert code == 1


def test_a_value_error_of_another_library_says_where() -> None:
    with pytest.raises(ValueError, match="Expecting") as caught:
        json.loads("{")
    text, code = told(caught.value)
    assert text.startswith("Expecting property name")
    assert "JSONDecodeError at " in text
    assert code == 2


def test_names_that_no_terminal_can_show_are_reported(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    done = subprocess.run(
        [sys.executable, "-m", "selftaught", "tasks", name], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "caf\\udce9" in done.stderr
