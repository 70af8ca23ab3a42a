"""The inputs of the parts of a combination as those of one task."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from selftaught.data.inputs import Clip, Computed, Input
from selftaught.tasks.spec import TaskSpec


def joined_inputs(parts: Mapping[str, TaskSpec]) -> tuple[dict[str, Input], dict[str, dict[str, str]]]:
    """The inputs of all parts under one name each, and the names of each part's own inputs among them.

    Inputs that are equal are one, whatever the parts call them. Where two parts mean different inputs by one name, the
    later one's is `part.name`.
    """
    inputs: dict[str, Input] = {}
    names: dict[str, dict[str, str]] = {}
    for part, spec in parts.items():
        own: dict[str, str] = {}
        waiting = dict(spec.inputs)
        while waiting:
            # An input that refers to another comes after it; `Sampling` has checked that there is no circle.
            name = next(n for n, one in waiting.items() if _refers_to(one) not in waiting)
            one = _renamed(waiting.pop(name), own)
            free = name if name not in inputs else f"{part}.{name}"
            own[name] = next((k for k, other in inputs.items() if other == one and k not in own.values()), free)
            inputs[own[name]] = one
        names[part] = own
    return inputs, names


def _refers_to(one: Input) -> str:
    """Name of the input that this one follows or is computed of."""
    return one.after if isinstance(one, Clip) else one.like if isinstance(one, Computed) else ""


def _renamed(one: Input, names: Mapping[str, str]) -> Input:
    """The input with the name of the one that it refers to."""
    if isinstance(one, Clip) and one.after:
        return dataclasses.replace(one, after=names[one.after])
    return dataclasses.replace(one, like=names[one.like]) if isinstance(one, Computed) else one
