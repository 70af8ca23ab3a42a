"""What the file of a task or probe says about itself, read without importing it; and a user's own file, imported."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from selftaught.core.errors import own_code
from selftaught.core.names import unknown_name
from selftaught.core.options import Option, flag_of, typed

PAPER = re.compile(r"\(([^()]*?\b(\d{4}))\)")
"""Authors and venue with year, as docstrings name a paper."""

_TEXTS: dict[str, bytes] = {}
"""Name of a user's module -> the text that was imported."""


def settings_of(whose: str, known: Sequence[Option], given: dict[str, Any], *, prefix: str) -> dict[str, Any]:
    """Complete settings from those given; an error says whose they are and names the flag."""
    options = {option.name: option for option in known}
    for name in given:
        if not options:
            raise ValueError(f"{whose} has no settings, got {flag_of(prefix + name)}")
        if name not in options:
            raise ValueError(unknown_name(f"setting of {whose}", name, list(options)))
    settings = {name: option.default for name, option in options.items() if option.has_default}
    return settings | {name: typed(options[name], value, flag=flag_of(prefix + name)) for name, value in given.items()}


def assigned_names(line: ast.stmt) -> list[str]:
    """Names that a line of a class gives a value."""
    targets = line.targets if isinstance(line, ast.Assign) else [line.target] if isinstance(line, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def nested_class(node: ast.ClassDef, name: str) -> ast.ClassDef | None:
    """The class of that name inside another one."""
    return next((n for n in node.body if isinstance(n, ast.ClassDef) and n.name == name), None)


def read_needs(node: ast.ClassDef) -> tuple[str, ...] | None:
    """The words of a class's line `needs = ...`; None where it has none."""
    for line in node.body:
        if isinstance(line, ast.Assign | ast.AnnAssign) and "needs" in assigned_names(line):
            strings = [n.value for n in ast.walk(cast(ast.expr, line.value)) if isinstance(n, ast.Constant)]
            return tuple(sorted(str(s) for s in strings))
    return None


def first_sentence(text: str) -> str:
    """First sentence, without the paper in brackets."""
    first = PAPER.sub("", " ".join(text.split("\n\n")[0].split()))
    return re.split(r"(?<=[.!?])\s", first.strip(), maxsplit=1)[0].replace(" .", ".").strip()


def is_path(name: str) -> bool:
    """Whether the name of a task or probe is the path of a file."""
    return name.endswith(".py") or "/" in name or "\\" in name


def own_file(name: str, *, flag: str) -> Path:
    """The Python file that a user's path leads to."""
    path = Path(name).expanduser()
    if not path.is_file():
        raise ValueError(f"--{flag} {name}: there is no such file; give a path to a Python file or a {flag}'s name")
    if path.suffix != ".py":
        raise ValueError(f"--{flag} {name}: a {flag} is a Python file; give it a name that ends with .py")
    return path.resolve()


def check_no_file(name: str, *, flag: str) -> None:
    """Refuse a name that is none of the library's but that of a file in the current directory, with its path."""
    if Path(f"{name}.py").is_file():
        raise ValueError(f"--{flag} {name}: there is no {flag} of this name, but a file; give --{flag} ./{name}.py")


def parsed(path: Path, *, name: str, flag: str) -> ast.Module:
    """The text of a user's file, which is not run."""
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"--{flag} {name}: {path} is not readable as Python: {error}; save it as UTF-8") from None
    except (SyntaxError, ValueError) as error:
        line = f"line {error.lineno}: {error.msg}" if isinstance(error, SyntaxError) and error.lineno else str(error)
        raise ValueError(f"--{flag} {name}: {path} is not readable as Python: {line}") from None


def module_file(name: str, *, flag: str, listing: str) -> Path:
    """File of a user's module, also found from the current directory; `listing` is the verb that lists the known."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    importlib.invalidate_caches()
    try:
        spec = importlib.util.find_spec(name)
    except (ModuleNotFoundError, ValueError):
        spec = None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise ValueError(
            f"--{flag} {name}: no Python module of that name is installed or in the current directory; "
            f"'selftaught {listing}' lists the built-in ones"
        )
    return Path(spec.origin)


def import_own(name: str, path: Path) -> ModuleType:
    """A user's module, or a file under a name that no other module has; imported again where its text has changed.

    Raises:
        ValueError: one sentence with the line at which its own code fails.
    """
    text = path.read_bytes()
    with own_code(f"importing {name}"):
        if is_path(name):
            name = f"selftaught_own_{path.stem}"
            known = sys.modules.get(name)
            if known is None or known.__file__ != str(path) or _TEXTS.get(name) != text:
                known = _import_text(name, path, text)
        else:
            known = importlib.import_module(name)
            if _TEXTS.get(name, text) != text:
                known = importlib.reload(known)
    _TEXTS[name] = text
    return known


def _import_text(name: str, path: Path, text: bytes) -> ModuleType:
    """The module of a file as it was read: a compiled one beside it could be of an earlier text, and none is left."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up while it is being run
    try:
        exec(compile(text, str(path), "exec", dont_inherit=True), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module
