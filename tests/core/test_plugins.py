"""What the file of a task or probe says about itself."""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path

import pytest

from selftaught.core.options import Option
from selftaught.core.plugins import (
    PAPER,
    assigned_names,
    first_sentence,
    import_own,
    nested_class,
    parsed,
    read_needs,
    settings_of,
)

KNOWN = (
    Option(name="k", type="int", default=20, help=""),
    Option(name="max_dims", type="int", default=None, help="", has_default=False),
)


def read(source: str) -> ast.ClassDef:
    found = ast.parse(source).body[0]
    assert isinstance(found, ast.ClassDef)
    return found


def test_settings_are_those_given_and_the_defaults_that_are_known() -> None:
    assert settings_of("probe 'knn'", KNOWN, {}, prefix="probe.") == {"k": 20}
    assert settings_of("probe 'knn'", KNOWN, {"k": "5", "max_dims": 9}, prefix="probe.") == {"k": 5, "max_dims": 9}


def test_wrong_settings_say_whose_they_are_and_name_the_flag() -> None:
    with pytest.raises(ValueError, match=r"^--probe.max-dims must be a whole number, got 'many'$"):
        settings_of("probe 'knn'", KNOWN, {"max_dims": "many"}, prefix="probe.")
    with pytest.raises(ValueError, match=r"^unknown setting of probe 'knn' 'max_dim'; did you mean max_dims"):
        settings_of("probe 'knn'", KNOWN, {"max_dim": 1}, prefix="probe.")
    with pytest.raises(ValueError, match=r"^task 'x' has no settings, got --task.max-dims$"):
        settings_of("task 'x'", (), {"max_dims": 1}, prefix="task.")


def test_what_a_class_assigns_is_read_from_its_source() -> None:
    made = read("class A:\n    needs: ClassVar = frozenset({'video', 'audio'})\n    class Config:\n        b = 1\n")
    assert read_needs(made) == ("audio", "video")
    assert read_needs(read("class A:\n    needs = frozenset()")) == ()
    assert read_needs(read("class A:\n    metric = 'loss'")) is None
    inner = nested_class(made, "Config")
    assert inner is not None
    assert assigned_names(inner.body[0]) == ["b"]
    assert assigned_names(made.body[1]) == []
    assert nested_class(made, "Other") is None


@pytest.mark.parametrize(
    ("docstring", "sentence"),
    [
        ("Predict the angle (Gidaris, ICLR 2018). More.", "Predict the angle."),
        ("Two lines\n    of one sentence. And more.\n\nSecond part.", "Two lines of one sentence."),
        ("No end", "No end"),
        ("Version 2.5 of it. More.", "Version 2.5 of it."),
    ],
)
def test_the_first_sentence_has_no_paper(docstring: str, sentence: str) -> None:
    assert first_sentence(docstring) == sentence


def test_a_paper_has_authors_and_year() -> None:
    found = PAPER.search("By angle (as usual) (Gidaris et al., ICLR 2018).")
    assert found is not None
    assert found.groups() == ("Gidaris et al., ICLR 2018", "2018")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x = 1\nprint(1 / 0)\n", r"importing .*own.py fails at .*own.py:2: ZeroDivisionError: division by zero"),
        ("from selftaught.core.names import nothing\n", r"own.py:1: ImportError: cannot import name 'nothing'"),
        ("import selftaught.nothing\n", r"own.py:1: ModuleNotFoundError: No module named 'selftaught.nothing'"),
        ("import sys\nsys.exit(3)\n", r"own.py:2: SystemExit: 3"),
    ],
)
def test_a_file_that_cannot_be_imported_says_in_which_line(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "own.py"
    path.write_text(text)
    with pytest.raises(ValueError, match=sentence):
        import_own(str(path), path)


def test_a_file_is_imported_as_it_is_now_and_nothing_is_left_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its length and its time, by which Python knows compiled files, stay."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = tmp_path / "own.py"
    for value in (1, 2):
        path.write_text(f"x = {value}\n")
        os.utime(path, (1, 1))
        assert import_own(str(path), path).x == value
    assert list(tmp_path.iterdir()) == [path]


def test_a_package_that_a_file_lacks_is_no_fault_of_its_line(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text("import no_such_package\n")
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        import_own(str(path), path)


def test_text_that_is_no_python_says_where(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    for text, why in ((b"x = 1\ny = (\n", "line 2: '.' was never closed"), (b"x = '\xdc'\n", ".*; save it as UTF-8")):
        path.write_bytes(text)
        with pytest.raises(ValueError, match=f"^--probe mine: {path} is not readable as Python: {why}$"):
            parsed(path, name="mine", flag="probe")
    path.write_text("x = 1\n")
    assert ast.unparse(parsed(path, name="mine", flag="probe")) == "x = 1"
