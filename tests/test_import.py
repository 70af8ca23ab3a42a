"""Imports go one way, files stay small, names say what a thing is. Read from the source text, nothing is imported."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "selftaught"
FILES = sorted(path for folder in ("src", "tests", "benchmarks", "docs") for path in (ROOT / folder).rglob("*.py"))
SOURCES = [path for path in FILES if PACKAGE in path.parents]
TASKS = [
    path
    for path in sorted((PACKAGE / "tasks").rglob("*.py"))
    if path.name not in ("__init__.py", "base.py", "catalogue.py") and path.parent.name != "parts"
]
HEAVY = {"torch", "torchvision", "timm", "lightning_fabric", "numpy", "cv2", "av", "plotly", "pyarrow", "rich"}
TORCHLESS = (
    *("__init__", "__main__", "data/batch", "tasks/catalogue", "cli/main", "core/config", "cli/flags"),
    *(
        "core/threads",
        "core/names",
        "cli/printing",
        "evaluation/probes/catalogue",
        "core/options",
        "api/__init__",
        "api/labels",
        "api/vectors",
    ),
)


def imports(path: Path, *, nested: bool = True) -> set[str]:
    """Modules a file imports, as written; those under TYPE_CHECKING are not imports."""
    tree = ast.parse(path.read_text())
    tree.body = [n for n in tree.body if not (isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING")]
    found: set[str] = set()
    for node in ast.walk(tree) if nested else tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return found


def test_the_report_reads_run_folders_only() -> None:
    allowed = {"selftaught", "plotly", "rich", "PIL"} | set(sys.stdlib_module_names)
    for path in (PACKAGE / "report").rglob("*.py"):
        assert {name.split(".")[0] for name in imports(path)} <= allowed, path
        inside = {name for name in imports(path) if name.startswith("selftaught.")}
        below = ("selftaught.report", "selftaught.core")
        assert all(name.startswith(below) for name in inside), path


@pytest.mark.parametrize("name", TORCHLESS)
def test_what_answers_help_imports_nothing_heavy(name: str) -> None:
    found = {module.split(".")[0] for module in imports(PACKAGE / f"{name}.py", nested=False)}
    assert not found & HEAVY


def test_importing_the_library_imports_no_torch() -> None:
    code = "import sys, selftaught; selftaught.pretrain; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_public_names_and_folders_do_not_hide_each_other() -> None:
    code = (
        "import selftaught, selftaught.tasks.base, selftaught.encoders, selftaught.report, selftaught.tasks.catalogue\n"
        "from types import ModuleType\n"
        "assert selftaught.PretextTask is selftaught.tasks.base.PretextTask\n"
        "assert selftaught.list_tasks()[0]['name'] and selftaught.list_encoders()[0]['name']\n"
        "public = [getattr(selftaught, name) for name in selftaught.__all__]\n"
        "assert all(callable(found) and not isinstance(found, ModuleType) for found in public)\n"
        "from selftaught import *\n"
        "assert list_tasks is selftaught.list_tasks\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_package_shows_what_is_public_and_help_lists_the_settings() -> None:
    import selftaught
    from selftaught.core.config import run_settings
    from selftaught.core.options import OF_THE_TASK

    assert dir(selftaught) == sorted(selftaught.__all__)
    for function in (selftaught.pretrain, selftaught.compare):
        told = function.__doc__ or ""
        for name in {s.name for s in run_settings()} - {"data", "out", "task", *OF_THE_TASK}:
            assert told.count(f"\n    {name} = ") == 1, name
    assert "    size = 96: a whole number in [8, 8192]. Side of" in (selftaught.pretrain.__doc__ or "")


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    import selftaught

    with pytest.raises(AttributeError, match="nothing_like_it"):
        selftaught.nothing_like_it  # noqa: B018


def test_names_say_what_a_thing_is() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "misc"}
    assert not [path for path in FILES if path.stem in vague]


def test_files_and_functions_stay_small() -> None:
    texts = {path.relative_to(ROOT): path.read_text() for path in FILES}
    assert [str(path) for path, text in texts.items() if text.count("\n") > 400] == []
    long = [
        f"{path}: {node.name}"
        for path, text in texts.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= 60
    ]
    assert long == []


@pytest.mark.parametrize("path", TASKS, ids=lambda path: path.stem)
def test_every_task_file_has_its_test_file(path: Path) -> None:
    assert list((ROOT / "tests" / "tasks").rglob(f"test_{path.stem}.py"))


def test_every_task_is_final() -> None:
    for path in TASKS:
        bases = [
            ast.unparse(base)
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ClassDef)
            for base in node.bases
        ]
        assert set(bases) <= {"PretextTask", "Settings", "nn.Module", "NamedTuple", "Generic"}, path
