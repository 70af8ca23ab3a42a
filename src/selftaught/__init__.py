"""selftaught: learn visual features from unlabelled data, and measure how good they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from selftaught.api import (
    agreement,
    cache,
    check_task,
    compare,
    demo,
    embed,
    evaluate,
    explore,
    export,
    fit,
    list_encoders,
    list_probes,
    list_tasks,
    load_encoder,
    predict,
    pretrain,
    push,
    search,
    suggest,
    use_encoder,
    world,
    write_report,
)
from selftaught.core.config import RunConfig
from selftaught.core.threads import use_threads

if TYPE_CHECKING:
    from selftaught.tasks.base import PretextTask

__all__ = [
    "PretextTask",
    "RunConfig",
    "agreement",
    "cache",
    "check_task",
    "compare",
    "demo",
    "embed",
    "evaluate",
    "explore",
    "export",
    "fit",
    "list_encoders",
    "list_probes",
    "list_tasks",
    "load_encoder",
    "predict",
    "pretrain",
    "push",
    "search",
    "suggest",
    "use_encoder",
    "use_threads",
    "world",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """The base class of tasks is a torch module; it is imported when it is first asked for."""
    if name == "PretextTask":
        from selftaught.tasks.base import PretextTask

        return PretextTask
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """What is public, and not the modules that happen to be imported."""
    return sorted(__all__)
