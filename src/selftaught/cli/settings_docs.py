"""The settings of a run in the docstrings of the functions that take them by name; no torch."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from typing import TypeVar

from selftaught.cli.flags import run_options
from selftaught.core.options import describe

F = TypeVar("F", bound=Callable[..., object])


def with_settings(function: F) -> F:
    """Add every setting with its default to the docstring, so that `help(selftaught.pretrain)` tells them."""
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
