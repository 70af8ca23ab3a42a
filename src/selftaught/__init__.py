"""selftaught: learn visual features from unlabelled data, and measure how good they are."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    from selftaught.tasks.base import PretextTask as PretextTask

_ELSEWHERE = {
    "PretextTask": "selftaught.tasks.base",
    "RunConfig": "selftaught.core.config",
    "use_threads": "selftaught.core.threads",
}
"""Public names that are not in `api`, and where they are."""

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
    """Import what is public when it is first asked for: the command line must heed Ctrl-C before it imports much."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(_ELSEWHERE.get(name, "selftaught.api")), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """What is public, and not the modules that happen to be imported."""
    return sorted(__all__)
