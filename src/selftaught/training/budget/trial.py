"""How long a step takes: a few steps of a copy of the task, with part of a batch where a whole one takes too long."""

from __future__ import annotations

import copy
import dataclasses
from collections import Counter
from time import monotonic

import torch
from lightning_fabric import Fabric

from selftaught.core.config import RunConfig
from selftaught.core.precision import autocast_forward, channels_last
from selftaught.core.randomness import generator
from selftaught.data.batches import Batches
from selftaught.data.loader import Loader
from selftaught.tasks.base import PretextTask
from selftaught.training.budget.timekeeping import Costs
from selftaught.training.data import Data
from selftaught.training.optimizers import build_optimizer
from selftaught.training.players import only_parameters_of, scalars_of
from selftaught.training.refresh import refresh, steps_between

FEWEST_ROWS = 8
"""Samples of the smallest step that is tried."""
REFRESHED = 1024
"""Samples whose pseudo-labels are computed in the trial, to estimate the time for all."""
MOST_STEPS = 30
BYTES_A_SECOND = 250e6
"""At which a checkpoint is written and its checksum computed, before the first one has been."""


class Trial:
    """A copy of the task that takes steps in which it learns nothing."""

    def __init__(self, config: RunConfig, task: PretextTask, data: Data, fabric: Fabric) -> None:
        self.config, self.data, self.fabric = config, data, fabric
        self.task = channels_last(copy.deepcopy(task).to(fabric.device))
        self.task.train()
        self.optimizer = build_optimizer(self.task, config.optim.optimizer, 0.0, 0.0, own=task.parameter_groups())
        self.forward = autocast_forward(self.task, fabric.device, config.machine.precision)
        self.moves = Counter(player for step in range(60) for player in self.task.turns(step) or ("",))
        self.rows = config.optim.batch // fabric.world_size // config.optim.accumulate
        self.between = steps_between(self.task, data)
        self.loader: Batches = self._few_samples() if self.between else data.loader
        self.tried = self.largest = 0

    def close(self) -> None:
        """Stop reading ahead for the trial."""
        if self.loader is not self.data.loader:
            self.loader.close()

    def refresh_seconds(self) -> float:
        """Compute the pseudo-labels of some samples, which steps need; return the estimated time for all."""
        if not self.between:
            return 0.0
        begin = monotonic()
        few = dataclasses.replace(self.data, loader=self.loader)
        refresh(self.task, self.optimizer, few, self.config, self.fabric, 0)
        return (monotonic() - begin) * self.data.loader.count / self.loader.count

    def step_seconds(self, allowed: float) -> float:
        """Seconds of one step, measured in about so many; all processes try as often, as some losses wait for all."""
        clips = self.data.sampling.clips_per_video
        rows = min(self.rows, clips * -(-FEWEST_ROWS // clips))
        self._step(rows)
        waited, taken = self._step(rows)
        each = taken / rows  # until two sizes separate the fixed cost of a step from that of its samples
        while rows < self.rows:
            whole = taken + each * (self.rows - rows)
            if self._agreed(3 * whole < allowed):
                break
            more = min(self.rows, 4 * rows)
            if not self._agreed(2 * (taken + each * (more - rows)) < allowed):
                return self._same(waited + whole * self.config.optim.accumulate)
            self._step(more)
            waited, larger = self._step(more)
            each = min(max(0.0, larger - taken) / (more - rows), larger / more)
            rows, taken = more, larger
        return self._whole(allowed)

    def whole_step(self) -> None:
        """One step with a whole batch, unless there was one, so that its memory has been needed."""
        if self.largest < self.rows:
            self._step(self.rows)

    def _whole(self, allowed: float) -> float:
        """The median of steps with whole batches; the first is slower and does not count."""
        begin = monotonic()
        self._step(self.rows)
        times: list[float] = []
        while self._agreed(not times or (monotonic() - begin < allowed and len(times) < MOST_STEPS)):
            waited, taken = self._step(self.rows)
            times.append(waited + taken * self.config.optim.accumulate)
        return self._same(sorted(times)[len(times) // 2])

    def _step(self, rows: int) -> tuple[float, float]:
        """One step with the first `rows` of a part of a batch: seconds of the reading, and of the step itself."""
        device = self.fabric.device
        begin = monotonic()
        batch = self.loader.batch(self.tried).rows(slice(rows))
        self.tried += 1
        self.largest = max(self.largest, rows)
        waited = monotonic() - begin
        started = monotonic()
        with torch.no_grad():
            example = self.task.pseudo_label(batch, generator("budget", device=device))
        taken = 0.0
        for player, moves in self.moves.items():
            with only_parameters_of(player, self.task):
                loss = scalars_of(self.task, self.forward, example, player)["loss"]
                loss.backward()
                self.optimizer.step()
                self.optimizer.zero_grad()
            float(loss.detach())  # waits for the device
            ended = monotonic()
            taken += (ended - started) * moves / 60
            started = ended
        return waited, taken

    def _few_samples(self) -> Loader:
        config, loader = self.config, self.data.whole
        return Loader(
            loader.samples,
            sampling=loader.sampling,
            batch_size=config.optim.batch,
            seed=config.seed,
            device=loader.device,
            rank=loader.rank,
            world=loader.world,
            limit=min(loader.count, max(REFRESHED, 4 * config.optim.batch)),
        )

    def _agreed(self, answer: bool) -> bool:
        return bool(self.fabric.broadcast(answer))

    def _same(self, value: float) -> float:
        return float(self.fabric.broadcast(value))


def checkpoint_bytes(task: PretextTask, config: RunConfig) -> int:
    """Bytes of a checkpoint: the parameters and what the optimiser keeps of each."""
    moments = 2 if config.optim.optimizer == "adamw" else 1
    return sum(p.numel() for p in task.parameters()) * 4 * (1 + moments)


def measure(
    config: RunConfig, task: PretextTask, data: Data, fabric: Fabric, *, allowed: float, is_whole: bool = False
) -> Costs:
    """What the parts of a run with this task take, measured in about `allowed` seconds; `task` is left as it is.

    Looks at held-out data are counted as a third of a step for each sample, their features as another. With `is_whole`
    a step with a whole batch is taken, even where that takes longer.
    """
    trial = Trial(config, task, data, fabric)
    try:
        refreshed = trial.refresh_seconds()
        step = max(1e-6, trial.step_seconds(allowed))
        if is_whole:
            trial.whole_step()
    finally:
        trial.close()
    return Costs(
        step=step,
        row=step / config.optim.batch * 2 / 3,
        save=checkpoint_bytes(task, config) / BYTES_A_SECOND,
        refresh=float(fabric.broadcast(refreshed)),
        between=trial.between,
    )
