"""What the file of a task or probe says about itself, read without importing it."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Any, cast

from selftaught.core.names import unknown_name
from selftaught.core.options import Option, flag_of, typed

PAPER = re.compile(r"\(([^()]*?\b(\d{4}))\)")
"""Authors and venue with year, as docstrings name a paper."""


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
