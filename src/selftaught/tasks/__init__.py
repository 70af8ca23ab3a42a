"""One file a pretext task; and what your own task file imports, such as `from selftaught.tasks import PretextTask`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selftaught.data.batch import Batch as Batch
    from selftaught.data.batch import Sampling as Sampling
    from selftaught.tasks.base import Known as Known
    from selftaught.tasks.base import Pace as Pace
    from selftaught.tasks.base import ParameterGroup as ParameterGroup
    from selftaught.tasks.base import PretextTask as PretextTask
    from selftaught.tasks.base import Recipe as Recipe
    from selftaught.tasks.base import Refreshed as Refreshed
    from selftaught.tasks.base import Shown as Shown

__all__ = ["Batch", "Known", "Pace", "ParameterGroup", "PretextTask", "Recipe", "Refreshed", "Sampling", "Shown"]


def __getattr__(name: str) -> Any:
    # Lazy: the command line lists the tasks from this folder and must not pay for torch.
    if name in ("Batch", "Sampling"):
        from selftaught.data import batch

        return getattr(batch, name)
    if name in __all__:
        from selftaught.tasks import base

        return getattr(base, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
