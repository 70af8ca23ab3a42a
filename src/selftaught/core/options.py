"""Settings as people give them: name, type, default and help, read from a dataclass's source; no torch."""

from __future__ import annotations

import ast
import dataclasses
import difflib
import functools
import inspect
import math
import textwrap
import typing
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, TypeVar

from selftaught.core.config import run_settings
from selftaught.core.ranges import Range, range_in_source

Value = Literal["str", "int", "float", "bool"]
OF_THE_TASK = ("task_settings", "encoders", "kept", "started", "clip_seen")
"""Settings of a run that depend on the task."""
_READ = {"str": str, "int": int, "float": float}


@dataclass(frozen=True, kw_only=True)
class Option:
    """One field of a frozen dataclass of plain values.

    Attributes:
        type: type of the value, of one member where `many`.
        many: the field is a tuple, written 0.2,1.0 on the command line.
        optional: None is allowed, written none on the command line.
        choices: all allowed values, empty where the type alone says it.
        has_default: False where the default is not written as a plain value.
        range: what a number, or each of many, may be.
    """

    name: str
    type: Value
    default: Any
    help: str
    choices: tuple[Any, ...] = ()
    many: bool = False
    optional: bool = False
    has_default: bool = True
    range: Range | None = None


def flag_of(name: str) -> str:
    """The flag of a setting: `--batch-size` of batch_size; a task's name before a dot stays as --task is given it."""
    before, dot, setting = name.rpartition(".")
    return f"--{before}{dot}{setting.replace('_', '-')}"


def read_options(config: ast.ClassDef | None) -> tuple[Option, ...]:
    """The fields of a dataclass, each with the docstring that follows it."""
    if config is None:
        return ()
    lines = [*config.body, ast.Pass()]
    options = []
    for line, after in pairwise(lines):
        if isinstance(line, ast.AnnAssign) and "ClassVar" not in ast.unparse(line.annotation):
            assert isinstance(line.target, ast.Name)
            default, has_default = _default(line.value)
            options.append(
                make_option(
                    line.target.id, line.annotation, default=default, help=_docstring(after), has_default=has_default
                )
            )
    return tuple(options)


def typed(option: Option, value: Any, *, flag: str) -> Any:
    """`value`, text or plain, as the field's type; an error names the flag, the type and the choices."""
    if option.optional and (value is None or value == "none"):
        return None
    try:
        if option.many:
            members = value.split(",") if isinstance(value, str) else value
            result: Any = tuple(_one(option, member) for member in members)
        else:
            result = _one(option, value)
    except (TypeError, ValueError):
        raise ValueError(f"{flag} must be {describe(option)}, got {value!r}") from None
    for member in result if option.many else [result]:
        if option.choices and member not in option.choices:
            near = difflib.get_close_matches(str(member), [str(choice) for choice in option.choices], n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"{flag} must be {describe(option)}, got {value!r}{hint}")
    if option.range is not None:
        option.range.check(result, flag)
    return result


def describe(option: Option) -> str:
    """What the value may be, in words."""
    words = {"str": "text", "int": "a whole number", "float": "a number", "bool": "true or false"}
    text = f"one of {', '.join(map(str, option.choices))}" if option.choices else words[option.type]
    if option.range is not None:
        text = f"{text}{' of' if str(option.range).startswith('at') else ''} {option.range}"
    text = f"{text}, or several separated by commas" if option.many else text
    return f"{text}, or none" if option.optional else text


def _one(option: Option, value: Any) -> Any:
    if option.type == "bool":
        known = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}
        if isinstance(value, bool):
            return value
        if str(value).lower() not in known:
            raise ValueError(value)
        return known[str(value).lower()]
    if isinstance(value, bool) or (option.type == "int" and isinstance(value, float) and not value.is_integer()):
        raise ValueError(value)
    if option.type == "str" and not isinstance(value, str):
        raise ValueError(value)
    read = _READ[option.type](value)
    if isinstance(read, float) and not math.isfinite(read):
        raise ValueError(value)
    return read


def make_option(name: str, hint: ast.expr, *, default: Any, help: str, has_default: bool = True) -> Option:
    """An option from the source of its type: int, float | None, tuple[float, float], Literal[2, 4], ..."""
    hint, limits = range_in_source(hint)
    hint, optional = _without_none(hint)
    many = isinstance(hint, ast.Subscript) and ast.unparse(hint.value).split(".")[-1] in {"tuple", "list", "Sequence"}
    if many:
        assert isinstance(hint, ast.Subscript)
        hint = hint.slice.elts[0] if isinstance(hint.slice, ast.Tuple) else hint.slice
    choices: tuple[Any, ...] = ()
    if isinstance(hint, ast.Subscript) and ast.unparse(hint.value).endswith("Literal"):
        allowed = ast.literal_eval(hint.slice)
        choices = allowed if isinstance(allowed, tuple) else (allowed,)
    kind = type(choices[0]).__name__ if choices else ast.unparse(hint)
    return Option(
        name=name,
        type=kind if kind in {"str", "int", "float", "bool"} else "str",  # type: ignore[arg-type]
        default=default,
        help=help,
        choices=choices,
        many=many,
        optional=optional,
        has_default=has_default,
        range=limits,
    )


def _without_none(hint: ast.expr) -> tuple[ast.expr, bool]:
    if isinstance(hint, ast.BinOp) and isinstance(hint.op, ast.BitOr):
        if ast.unparse(hint.right) == "None":
            return hint.left, True
        if ast.unparse(hint.left) == "None":
            return hint.right, True
    if isinstance(hint, ast.Subscript) and ast.unparse(hint.value).split(".")[-1] == "Optional":
        return hint.slice, True  # as typing writes Literal["a", "b"] | None
    return hint, False


def _default(value: ast.expr | None) -> tuple[Any, bool]:
    if value is None:
        return None, False
    try:
        return ast.literal_eval(value), True
    except ValueError:
        return None, False


def _docstring(line: ast.stmt) -> str:
    if isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and isinstance(line.value.value, str):
        return " ".join(line.value.value.split())
    return ""


@functools.cache
def run_options() -> dict[str, Option]:
    """The settings of a run, with the docstring under each; those that depend on the task are flags of their own."""
    options = {}
    for setting in run_settings():
        if setting.name not in OF_THE_TASK:
            hint = typing.get_type_hints(setting.owner, include_extras=True)[setting.field.name]
            help = _helps(setting.owner)[setting.field.name]
            options[setting.name] = option_of(setting.name, hint, setting.field.default, help)
    return options


@functools.cache
def _helps(settings: type) -> dict[str, str]:
    """The docstring under each field of a class."""
    source = ast.parse(textwrap.dedent(inspect.getsource(settings))).body[0]
    assert isinstance(source, ast.ClassDef)
    return {option.name: option.help for option in read_options(source)}


def option_of(name: str, hint: Any, default: Any, help: str) -> Option:
    """An option from a parameter or a field: its type hint, its default and its help."""
    source = ast.parse(inspect.formatannotation(hint), mode="eval").body
    missing = default is inspect.Parameter.empty or default is dataclasses.MISSING
    return make_option(name, source, default=None if missing else default, help=help, has_default=not missing)


F = TypeVar("F", bound=Callable[..., object])


def with_settings(function: F) -> F:
    """Add every setting with its default to the docstring, so that `help(selftaught.pretrain)` lists them."""
    try:
        options = run_options()
    except OSError:  # installed without source text
        return function
    own = inspect.signature(function).parameters
    lines = ["Settings, each with its default:"]
    for name, option in options.items():
        if name not in own:
            text = f"{name} = {option.default!r}: {describe(option)}. {option.help}"
            lines.append(textwrap.fill(text, width=100, initial_indent=" " * 4, subsequent_indent=" " * 8))
    if function.__doc__:
        function.__doc__ = "\n\n".join([inspect.cleandoc(function.__doc__), "\n".join(lines)]) + "\n"
    return function
