"""A run with a budget as it is planned, and a clock that stands still."""

from __future__ import annotations

from typing import Any

from selftaught.training.budget.schedule import Schedule
from selftaught.training.budget.timekeeping import Costs, plan
from tests.training import small_run

SMALL = small_run.SMALL.replace(encoder="resnet18", steps=None, checkpoint_every=None)
COSTS = Costs(step=0.5, row=0.002, save=0.3)


def planned(costs: Costs, seconds: float, **changes: Any) -> Schedule:
    given: dict[str, Any] = {"per_epoch": 70.0, "evaluate_every": 1.0, "held_out": 1000, "budget": f"{seconds}s"}
    return plan(costs, seconds, **given | changes)


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time
