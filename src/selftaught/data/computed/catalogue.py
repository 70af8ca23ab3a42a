"""The programs there are, by name: the files of this folder that hold one."""

from __future__ import annotations

import dataclasses
from importlib import import_module

from selftaught.core.names import unknown_name
from selftaught.data.computed.base import Program
from selftaught.data.inputs import Computed

PROGRAMS = ("image_edges", "motion_edges", "moving_mask", "optical_flow", "relative_depth", "unlc", "video_pca")


def make_program(asked: Computed) -> Program:
    """The program of an input, with the settings given there.

    Raises:
        ValueError: if there is no such program or setting, or the program refuses a value.
    """
    program = load_program(asked.program)
    known = [field.name for field in dataclasses.fields(program)]
    for name in asked.settings:
        if name not in known:
            raise ValueError(unknown_name(f"setting of {asked.program}", name, known))
    return program(**asked.settings)


def load_program(name: str) -> type[Program]:
    """The program of that name, or of a dotted module of one's own that holds exactly one, such as `my_package.edges`.

    Raises:
        ValueError: if there is none.
    """
    if name not in PROGRAMS and "." not in name:
        raise ValueError(unknown_name("program", name, PROGRAMS))
    module = f"selftaught.data.computed.{name}" if name in PROGRAMS else name
    try:
        members = vars(import_module(module)).values()
    except ImportError as error:
        raise ValueError(f"the program {name!r} cannot be imported ({error}); known: {', '.join(PROGRAMS)}") from error
    found = [m for m in members if isinstance(m, type) and issubclass(m, Program) and m.__module__ == module]
    if len(found) != 1:
        raise ValueError(f"{module} must define exactly one class derived from Program, got {len(found)}")
    return found[0]
