"""selftaught: learn visual features from unlabelled data, and measure what they are worth."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from selftaught.config import RunConfig
from selftaught.launch import use_threads
from selftaught.verbs import (
    agreement,
    cache,
    compare,
    demo,
    embed,
    encoders,
    evaluate,
    export,
    load_encoder,
    pretrain,
    probes,
    report,
    search,
    tasks,
)

if TYPE_CHECKING:
    from selftaught.tasks.base import PretextTask

__all__ = [
    "PretextTask",
    "RunConfig",
    "agreement",
    "cache",
    "compare",
    "demo",
    "embed",
    "encoders",
    "evaluate",
    "export",
    "load_encoder",
    "pretrain",
    "probes",
    "report",
    "search",
    "tasks",
    "use_threads",
]


class _Package(ModuleType):
    """Keeps the public functions in view.

    Python binds a module to its name in the package when it is first imported, so importing `selftaught.tasks.base`
    would hide the function `selftaught.tasks`. `from selftaught.tasks.base import ...` is not touched by this.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (isinstance(value, ModuleType) and name in __all__):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    """The base class of tasks is a torch module; it is imported when it is first asked for."""
    if name == "PretextTask":
        from selftaught.tasks.base import PretextTask

        return PretextTask
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """What is public, and not the modules that happen to be imported."""
    return sorted(__all__)
