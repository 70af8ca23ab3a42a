"""The house: folders import in one order, no file imports in a circle, folders stay small, every file has its test.

All is read from the source text; imports inside functions and those for types alone count like any other.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "selftaught"
TESTS = ROOT / "tests"

ALLOWED = {
    "core": "",
    "data": "core",
    "ops": "core",
    "encoders": "core ops",
    "tasks": "core data ops encoders",
    "features": "core data ops encoders",
    "training": "core data ops encoders tasks features",
    "evaluation": "core data ops encoders tasks features training",
    "report": "core",
    "api": "core data ops encoders tasks features training evaluation report",
    "cli": "core data tasks training evaluation report api",
    "__main__": "cli",
    "__init__": "core tasks api",
}
"""Entry of the root -> the others that its files may import."""
APART = {
    "evaluation/probes": "tasks training data/sources",
    "evaluation/data": "tasks training",
    "evaluation/fit": "tasks data/sources",
    "evaluation/dense": "tasks training data/sources",
    "evaluation/metrics": "tasks training data/sources",
    "evaluation/visualise": "tasks training data/sources evaluation/probes",
}
"""Folder -> what no file in it imports, although `evaluation` may."""
FLOW = {
    "data": "inputs batch modality batches files decode annotations sources store rendered computed loader "
    "passing_samples stream",
    "evaluation": "fit metrics data dense visualise probes",
    "report": "facts blocks writers",
}
"""Entries of a folder, each of which imports none that comes after it; files not named may import them all."""
EXCEPTED = {
    "data/batch": "plain values, which every test of the loader and of a task makes",
    "data/batches": "abstract, held by the tests of the loader and of the stream",
    "data/annotations/dense_sample": "plain values, which the tests of each format and of evaluation/data/dense make",
    "data/files/hints": "plain values, which the tests of each source that heeds them make",
    "data/sources/base": "abstract, held by the tests of each source",
    "data/sources/torchvision_names": "a list",
    "encoders/base": "abstract, held by the tests of each kind of encoder",
    "tasks/base": "abstract, held by the tests of each task",
}
"""Files that need no test file of their own, and why."""
MOST_AT_THE_ROOT, MOST_IN_A_FOLDER = 15, 17


def modules() -> dict[str, Path]:
    """Path below the package without its ending, such as "core/config" -> file."""
    return {p.relative_to(PACKAGE).with_suffix("").as_posix(): p for p in sorted(PACKAGE.rglob("*.py"))}


def folders() -> list[Path]:
    return [PACKAGE, *sorted(p for p in PACKAGE.rglob("*") if (p / "__init__.py").is_file())]


@cache
def graph() -> Mapping[str, frozenset[str]]:
    """Module -> modules of the package that it imports, at any depth of its text."""
    known = modules()

    def found(node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)

    def module_of(name: str) -> str | None:
        parts = name.split(".")[1:]
        for end in range(len(parts), -1, -1):
            path = "/".join(parts[:end])
            inner = f"{path}/__init__".removeprefix("/")
            if path in known or inner in known:
                return path if path in known else inner
        return None

    edges = {}
    for module, path in known.items():
        names = [name for node in ast.walk(ast.parse(path.read_text())) for name in found(node)]
        targets = {module_of(name) for name in names if name.split(".")[0] == "selftaught"}
        edges[module] = frozenset(target for target in targets if target is not None) - {module}
    return edges


def circles(edges: Mapping[str, frozenset[str]]) -> list[tuple[str, ...]]:
    """Groups of nodes of which each reaches each other one."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            for after in edges[waiting.pop()]:
                if after not in seen:
                    seen.add(after)
                    waiting.append(after)
        return seen

    reach = {node: reached(node) for node in edges}
    return sorted({tuple(sorted(n for n in reach[node] if node in reach[n])) for node in edges if node in reach[node]})


def is_in(module: str, place: str) -> bool:
    return module == place or module.startswith(f"{place}/")


def test_circles_are_found() -> None:
    edges = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": {"f"}, "f": {"e"}}
    assert circles({n: frozenset(to) for n, to in edges.items()}) == [("a", "b", "c"), ("e", "f")]


def test_the_graph_sees_every_kind_of_import() -> None:
    edges = graph()
    assert "core/names" in edges["core/config"]
    assert "training/train" in edges["api/__init__"]  # in a function
    assert "data/sources/base" in edges["data/store/image_pack"]  # for types alone
    assert "core/threads" in edges["cli/main"]  # from selftaught.core import threads


def test_folders_import_in_one_order() -> None:
    tops = {module.split("/")[0] for module in graph()}
    assert tops == set(ALLOWED)
    against = [
        f"{module} imports {target}"
        for module, targets in graph().items()
        for target in sorted(targets)
        if (top := module.split("/")[0]) != (other := target.split("/")[0]) and other not in ALLOWED[top].split()
    ]
    assert not against


@pytest.mark.parametrize("folder", APART)
def test_probes_and_their_parts_import_no_task_and_no_source(folder: str) -> None:
    against = [
        f"{module} imports {target}"
        for module, targets in graph().items()
        if is_in(module, folder)
        for target in sorted(targets)
        if any(is_in(target, place) for place in APART[folder].split())
    ]
    assert not against


@pytest.mark.parametrize("folder", FLOW)
def test_inside_a_folder_data_flow_one_way(folder: str) -> None:
    order = [f"{folder}/{name}" for name in FLOW[folder].split()]

    def place(module: str) -> int:
        return next((i for i, name in enumerate(order) if is_in(module, name)), len(order))

    against = [
        f"{module} imports {target}"
        for module, targets in graph().items()
        if is_in(module, folder)
        for target in sorted(targets)
        if is_in(target, folder) and place(target) > place(module)
    ]
    assert not against


def test_no_file_imports_in_a_circle() -> None:
    assert not circles(graph())


@pytest.mark.parametrize("folder", folders(), ids=lambda folder: folder.name)
def test_no_folder_imports_in_a_circle(folder: Path) -> None:
    """Of the files and folders in `folder`; a package's own `__init__.py` stands for the folder alone."""
    inside = folder.relative_to(PACKAGE).as_posix().removeprefix(".")

    def entry(module: str) -> str:
        return module.removeprefix(inside).removeprefix("/").split("/")[0]

    edges: dict[str, set[str]] = {}
    for module, targets in graph().items():
        if not inside or is_in(module, inside):
            here = edges.setdefault(entry(module), set())
            here |= {entry(target) for target in targets if not inside or is_in(target, inside)} - {entry(module)}
    assert not circles({name: frozenset(targets) for name, targets in edges.items()})


def test_the_root_is_small() -> None:
    files = [path.relative_to(PACKAGE) for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    entries = {path.parts[0] for path in files}
    assert len(entries) <= MOST_AT_THE_ROOT, sorted(entries)


@pytest.mark.parametrize("folder", folders()[1:], ids=lambda folder: folder.name)
def test_folders_are_small(folder: Path) -> None:
    files = [path.name for path in folder.iterdir() if path.is_file() and path.name != "__init__.py"]
    assert len(files) <= MOST_IN_A_FOLDER, sorted(files)


@pytest.mark.parametrize("folder", folders(), ids=lambda folder: folder.name)
def test_folders_say_what_they_hold(folder: Path) -> None:
    assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))


def test_every_file_has_a_test_file_of_its_name() -> None:
    """`core/config.py` has `tests/core/test_config.py`; at most a tenth of the files is excepted, with a reason."""
    files = [name for name in modules() if Path(name).name not in ("__init__", "__main__")]
    without = {name for name in files if not (TESTS / Path(name).parent / f"test_{Path(name).name}.py").is_file()}
    assert not without - EXCEPTED.keys()
    assert EXCEPTED.keys() <= without, "a file that has its test, or has gone, is excepted no more"
    assert len(EXCEPTED) <= len(files) / 10
