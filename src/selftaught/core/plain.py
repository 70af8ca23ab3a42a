"""Arguments of a program as plain values: numbers of numpy, paths, and ~ for the home folder. Imports no torch."""

from __future__ import annotations

import functools
import inspect
import math
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from selftaught.core.errors import with_argument
from selftaught.core.objects.registry import name_of

P = ParamSpec("P")
R = TypeVar("R")

PLACES = ("out", "run", "encoder", "folder", "query", "model")
"""Arguments that are places on disk and nothing else; data, which may be a name or a URL, are expanded where read."""
DATA = ("data", "labelled")
"""Arguments that are data: a path, a name, or a data set of Python."""
PATHS = ("data", "labelled", *PLACES)
"""Arguments that are paths, so that an error can say which of them it is about."""


def plain(value: Any) -> Any:
    """Numbers and arrays of numpy or torch -> numbers and lists of Python, paths -> text; all else as it is."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(plain(inner) for inner in value) if type(value) in (list, tuple) else value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value.tolist() if hasattr(value, "tolist") and hasattr(value, "item") else value


def strict(value: Any) -> Any:
    """With null for numbers that are not finite: NaN is not JSON, and other readers refuse it."""
    if isinstance(value, Mapping):
        return {key: strict(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [strict(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def same_place(one: str, other: str) -> bool:
    """Whether two names of data are one, or lead to the same file or folder."""
    with suppress(OSError, ValueError):  # a name that is no path, such as a very long pattern
        return one == other or Path(at_home(one)).samefile(at_home(other))
    return False


def at_home(path: str) -> str:
    """The path with ~ expanded, where it begins with one."""
    return os.path.expanduser(path)  # noqa: PTH111 - pathlib raises for the home of nobody


def named(argument: str, value: Any) -> Any:
    """Data and encoders that are Python objects -> names by which they are found; all else as it is."""
    if argument in DATA and value is not None and not isinstance(value, str | os.PathLike):
        return name_of("dataset", value)
    if argument == "settings" and isinstance(value, Mapping):
        encoder = value.get("encoder", "")
        return value if isinstance(encoder, str | os.PathLike) else {**value, "encoder": name_of("module", encoder)}
    return value


def place(argument: str, value: Any) -> str:
    """The text of an argument that is a place; a sentence for an object, such as a network that is none of a run."""
    if isinstance(value, str):
        return value
    trained = "; train it by pretrain(data, encoder=net, out=...), and give the folder of that run"
    hint = trained if hasattr(value, "state_dict") else ""
    raise ValueError(f"{argument} must be a path or a name, got {type(value).__name__}{hint}")


def plain_arguments(verb: Callable[P, R]) -> Callable[P, R]:
    """A verb that takes its arguments as plain values, with ~ expanded in those that are places."""
    signature = inspect.signature(verb)

    @functools.wraps(verb)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        bound = signature.bind(*args, **kwargs)
        given = {name: plain(named(name, value)) for name, value in bound.arguments.items()}
        places = {name: at_home(place(name, given[name])) for name in PLACES if given.get(name) is not None}
        bound.arguments.update(given | places)
        try:
            return verb(*bound.args, **bound.kwargs)
        except Exception as error:
            system = with_argument(error, paths_of(signature, bound.arguments))
            if system is None:
                raise
            raise system from (None if system is error else error)

    return called


def paths_of(signature: inspect.Signature, given: Mapping[str, Any]) -> dict[str, str]:
    """The paths that a verb was given, by how the command line takes them: DATA, --out ..."""
    names = [name for name in PATHS if given.get(name) is not None]
    by_place = {p.name for p in signature.parameters.values() if p.kind is not p.KEYWORD_ONLY}
    return {name.upper() if name in by_place else f"--{name}": str(given[name]) for name in names}
