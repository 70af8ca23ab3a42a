"""Data sets and encoders that are Python objects, by names that settings and files can hold. Imports no torch."""

from __future__ import annotations

from typing import Any, Literal

Kind = Literal["dataset", "module"]

_known: dict[str, Any] = {}


def name_of(kind: Kind, thing: Any) -> str:
    """A name such as "dataset:MyData", by which this process finds the object; the same each time.

    A second object of a class is "dataset:MyData-2". A module takes the place of an earlier one of its class, so that
    the runs of that class can be read.
    """
    cls = type(thing).__name__
    names = [f"{kind}:{cls}", *(f"{kind}:{cls}-{number}" for number in range(2, len(_known) + 3))]
    if kind == "module":
        _known[names[0]] = thing
        return names[0]
    for name in names:
        if _known.setdefault(name, thing) is thing:
            return name
    raise AssertionError("there are more names than objects")


def is_object(name: str, kind: Kind) -> bool:
    """Whether a name is that of such an object."""
    return name.startswith(f"{kind}:")


def object_of(name: str) -> Any:
    """The object; None where this process does not have it."""
    return _known.get(name)
