"""How long a step takes, measured in bounded time."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from lightning_fabric import Fabric

from selftaught.core.devices import make_fabric
from selftaught.data.batch import Sampling
from selftaught.training.budget.trial import BYTES_A_SECOND, Trial, measure
from selftaught.training.data import open_data
from selftaught.training.setup import build_task, resolve, spec_for
from tests.training.budget.planned import SMALL, Clock


class Timed(Trial):
    """Steps that take as long as they are said to: a fixed part and one for each sample, slower the first time."""

    def __init__(self, rows: int, fixed: float, each: float) -> None:
        self.rows, self.fixed, self.each = rows, fixed, each
        self.config = SMALL.replace(batch_size=rows)
        self.data = SimpleNamespace(sampling=Sampling())  # type: ignore[assignment]
        self.fabric = Fabric(accelerator="cpu", devices=1)
        self.clock = Clock()
        self.seen: list[int] = []

    def _step(self, rows: int) -> tuple[float, float]:
        taken = (self.fixed + self.each * rows) * (1 if rows in self.seen else 3)
        self.seen.append(rows)
        self.clock.time += taken
        return 0.0, taken


@pytest.mark.parametrize(
    ("fixed", "each", "allowed", "whole", "within"),
    [
        (0.05, 0.002, 3.0, True, 6.0),  # fast: whole batches
        (0.05, 0.035, 6.0, False, 12.0),  # 4.5 s with 128: two sizes tell
        (0.0, 0.035, 0.3, False, 1.5),  # no time for more than the smallest
    ],
)
def test_a_step_is_measured_within_bounds(
    monkeypatch: pytest.MonkeyPatch, fixed: float, each: float, allowed: float, whole: bool, within: float
) -> None:
    timed = Timed(128, fixed, each)
    monkeypatch.setattr("selftaught.training.budget.trial.monotonic", timed.clock)
    assert timed.step_seconds(allowed) == pytest.approx(fixed + 128 * each)
    assert (128 in timed.seen) == whole
    assert timed.clock.time <= within


def test_a_trial_leaves_the_task_as_it_is() -> None:
    asked = SMALL.replace(encoder="timm:test_resnet", accelerator="cpu", steps=10)
    fabric = make_fabric(asked.machine, is_partly_used=False)
    data = open_data(asked, spec_for(asked), fabric)
    config = resolve(asked, spec_for(asked), data)
    task = build_task(spec_for(config), config)
    before = {name: value.clone() for name, value in task.state_dict().items()}
    costs = measure(config, task, data, fabric, allowed=0.05)
    data.loader.close()
    assert all(torch.equal(value, before[name]) for name, value in task.state_dict().items())
    assert not any(p.grad is not None for p in task.parameters())
    assert costs.step > 0
    assert costs.row == pytest.approx(costs.step / 8 * 2 / 3)
    weights = sum(p.numel() for p in task.parameters())
    assert costs.save == pytest.approx(weights * 4 * 2 / BYTES_A_SECOND)
    assert (costs.refresh, costs.between) == (0.0, 0)
