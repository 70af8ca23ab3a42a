"""Settings whose fields say what they may be, beside the field: `min_scale: Annotated[float, Range(above=0, most=1)]`.

Imports no torch, and can be read from source text as well; see `core/options.py`.
"""

from __future__ import annotations

import ast
import functools
import math
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal


@dataclass(frozen=True, kw_only=True)
class Range:
    """Numbers that a setting may be, of each member where it is a tuple; finite ones alone.

    Attributes:
        least: the smallest of them.
        above: the number they are all above.
        most: the largest of them.
        below: the number they are all below.
    """

    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None

    def __contains__(self, value: float) -> bool:
        return (
            math.isfinite(value)
            and (self.least is None or value >= self.least)
            and (self.above is None or value > self.above)
            and (self.most is None or value <= self.most)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        """In words: "at least 1", "in (0, 1]"."""
        low = self.least if self.least is not None else self.above
        high = self.most if self.most is not None else self.below
        if low is not None and high is not None:
            return f"in {'(' if self.least is None else '['}{low}, {high}{')' if self.most is None else ']'}"
        if low is not None:
            return f"{'above' if self.least is None else 'at least'} {low}"
        return "finite" if high is None else f"{'below' if self.most is None else 'at most'} {high}"

    def check(self, value: Any, flag: str) -> None:
        """One sentence that names the flag for a value, or a tuple of them, that is not in the range; None is."""
        if isinstance(value, tuple | list):
            if not value or not all(member in self for member in value):
                got = ",".join(map(str, value)) or "none"
                raise ValueError(f"{flag} must be one or more numbers {self}, got {got}")
        elif value is not None and value not in self:
            raise ValueError(f"{flag} must be {self}, got {value}")


class Settings:
    """Base of dataclasses of settings: a value outside of its field's `Range` or `Literal` is a `ValueError`.

    `class Config(Settings, prefix="task.")` has flags such as --task.min-scale. A class with more to check calls
    `super().__post_init__()` first.
    """

    prefix = ""  # without annotation, so that it is no field

    def __init_subclass__(cls, *, prefix: str = "", **more: Any) -> None:
        super().__init_subclass__(**more)
        cls.prefix = prefix or cls.prefix

    def __post_init__(self) -> None:
        kind: Any = type(self)
        for name, allowed in declared(kind):
            value, flag = getattr(self, name), f"--{self.prefix}{name.replace('_', '-')}"
            if isinstance(allowed, Range):
                allowed.check(value, flag)
            elif value not in allowed:
                *first, last = map(str, allowed)
                raise ValueError(f"{flag} must be {', '.join(first)} or {last}, got {value!r}")


@functools.cache
def declared(settings: Any) -> tuple[tuple[str, Range | tuple[Any, ...]], ...]:
    """Fields with their range or their choices, in their order."""
    return tuple(
        (name, allowed)
        for name, hint in typing.get_type_hints(settings, include_extras=True).items()
        for allowed in _allowed(hint)
    )


def _allowed(hint: Any) -> Iterator[Range | tuple[Any, ...]]:
    if typing.get_origin(hint) is Annotated:
        yield from (extra for extra in typing.get_args(hint)[1:] if isinstance(extra, Range))
    elif typing.get_origin(hint) is Literal and len(typing.get_args(hint)) > 1:
        yield typing.get_args(hint)


def range_in_source(hint: ast.expr) -> tuple[ast.expr, Range | None]:
    """The type inside the source text of `Annotated[..., Range(...)]`, and the range; of another type itself, None."""
    if not (isinstance(hint, ast.Subscript) and ast.unparse(hint.value).split(".")[-1] == "Annotated"):
        return hint, None
    assert isinstance(hint.slice, ast.Tuple)
    inner, *extras = hint.slice.elts
    for extra in extras:
        if isinstance(extra, ast.Call) and ast.unparse(extra.func).split(".")[-1] == "Range":
            return inner, Range(**{str(word.arg): ast.literal_eval(word.value) for word in extra.keywords})
    return inner, None
