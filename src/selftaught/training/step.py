"""One step of a run: what the batch is for the task, then forward, backward and update, each player in its turn."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer

from selftaught.core.config import RunConfig
from selftaught.core.distributed import fill, same_buffers, whole
from selftaught.core.own_folder import write_json
from selftaught.core.progress import StepProgress
from selftaught.core.randomness import generator, seed_from
from selftaught.data.batch import Batch
from selftaught.tasks.base import PretextTask
from selftaught.tasks.spec import TaskSpec
from selftaught.training.budget.length import Length
from selftaught.training.budget.schedule import BUDGET, Schedule
from selftaught.training.budget.timekeeping import Timekeeper
from selftaught.training.checkpoint import flatten_optimizer
from selftaught.training.data import Data
from selftaught.training.optimizers import learning_rate, set_rates, weight_decay_at
from selftaught.training.players import only_parameters_of, scalars_of, scalars_of_turns
from selftaught.training.refresh import fit_buffers
from selftaught.training.run_folder import RunFolder


@dataclass
class Training:
    """What a step needs: the task, its wrapped form for the forward pass, the optimiser and the data."""

    fabric: Fabric
    config: RunConfig
    spec: TaskSpec
    task: PretextTask
    model: nn.Module
    optimizer: Optimizer
    data: Data
    length: Length
    replica: PretextTask | None = None
    """A plain copy of a task that is split over the processes, for what reads it outside of a step; else None."""
    timekeeper: Timekeeper = dataclasses.field(default_factory=Timekeeper)
    schedule: Schedule = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.schedule = self.length.schedule

    def step(self, step: int, batch: Batch) -> dict[str, Tensor]:
        """Forward, backward and update for this process's share of the batch of `step`; returns the task's scalars."""
        config, schedule = self.config, self.schedule
        place = schedule.place(step)
        assert config.optim.lr is not None
        assert config.optim.warmup is not None
        decay = None
        if (final := config.optim.final_weight_decay) is not None:
            decay = weight_decay_at(place, schedule.first, config.optim.weight_decay or 0.0, final)
        set_rates(self.optimizer, learning_rate(place, schedule.first, config.optim.lr, config.optim.warmup), decay)
        players = self.task.turns(step) or ("",)
        examples: Iterable[Any] = self._examples(step, batch)
        if len(players) > 1:
            examples = list(examples)
        turns = []
        for number, player in enumerate(players):
            with only_parameters_of(player, self.task):
                turns.append(self._turn(step, number, player, examples))
                self._clip()
                self.task.before_update(int(place), schedule.first)
                self.optimizer.step()
                self.optimizer.zero_grad(set_to_none=True)
        self.task.after_step(int(place), schedule.first)
        return scalars_of_turns(turns, self.task.players())

    def _clip(self) -> None:
        """Scale the gradient down to --clip where it is longer."""
        if self.config.optim.clip is None:
            return
        # With 16-mixed gradients are as many times too large; a fused optimiser divides them in its step.
        scaler = getattr(self.fabric.strategy.precision, "scaler", None)
        scale = 1.0 if scaler is None else scaler.get_scale()
        parameters = list(self.task.parameters())
        norm = whole(nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None]))
        nn.utils.clip_grads_with_norm_(parameters, self.config.optim.clip * scale, norm)

    @contextmanager
    def whole_task(self) -> Iterator[PretextTask]:
        """The task with whole parameters and the buffers that a checkpoint holds; all processes call it."""
        if self.fabric.world_size > 1:
            same_buffers(self.task)  # statistics of a batch normalisation are each process's own on CPUs
        if self.replica is None:
            yield self.task
            return
        self.replica.to(self.fabric.device)
        fit_buffers(self.replica, dict(self.task.named_buffers()))
        fill(self.replica, self.task)
        yield self.replica
        self.replica.to("cpu")

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What a checkpoint holds of task and optimizer, in whole tensors on the host: tensors and plain values.

        All processes call it where the task is split; the first alone gets the tensors.
        """
        tensors, optimizer = flatten_optimizer(self.optimizer.state_dict())
        tensors.update({f"task.{name}": value for name, value in self.task.state_dict().items()})
        if self.replica is not None:
            gathered = ((name, whole(value)) for name, value in tensors.items())
            tensors = {name: value.cpu() for name, value in gathered if self.fabric.is_global_zero}
        return tensors, optimizer

    def noted(self, part: str) -> AbstractContextManager[None]:
        """Note how long a part of the run takes that is no step."""
        return self.timekeeper.noted(part, self.schedule)

    def keep_to_budget(self, folder: RunFolder, done: int, progress: StepProgress) -> None:
        """Give the run another length where it would end too late or too early; it is written down for `--resume`."""
        if not self.timekeeper.is_due(done, self.schedule):
            return
        before = self.schedule.steps
        steps = int(self.fabric.broadcast(self.timekeeper.steps(done, self.schedule)))
        if steps != before:
            self.schedule = self.schedule.changed(done, steps)
            self.config = self.config.replace(steps=steps)
            progress.lengthen(steps)
            if self.fabric.is_global_zero:
                write_json(folder.path / BUDGET, self.schedule.to_dict())
                write_json(folder.path / "config.json", self.config.to_dict())
        self.timekeeper.go_on(done, self.schedule)

    def _examples(self, step: int, batch: Batch) -> Iterator[Any]:
        """What each part of the batch is for the task, one after the other."""
        config, fabric = self.config, self.fabric
        for part, piece in enumerate(split(batch, config.optim.accumulate)):
            rng = generator(config.seed, "pretext", step, fabric.global_rank, part, device=fabric.device)
            with torch.no_grad():
                example = self.task.pseudo_label(piece, rng)
            yield example

    def _turn(self, step: int, number: int, player: str, examples: Iterable[Any]) -> dict[str, Tensor]:
        """Gradients of one player, or of the whole task where there are none; the means of its scalars."""
        config, fabric = self.config, self.fabric
        means: dict[str, Tensor] = {}
        for part, example in enumerate(examples):
            # Layers such as dropout draw from the global generator: seeding it makes them a function of the step.
            turn = (number,) if player else ()
            torch.manual_seed(seed_from(config.seed, "network", step, fabric.global_rank, part, *turn))
            is_last = part == config.optim.accumulate - 1
            if self.replica is not None and part == 0:
                same_buffers(self.task)
            with nullcontext() if is_last else fabric.no_backward_sync(self.model):  # type: ignore[arg-type]
                scalars = scalars_of(self.task, self.model, example, player)
                fabric.backward(scalars["loss"] / config.optim.accumulate)
            for name, value in scalars.items():
                value = value.detach() / config.optim.accumulate
                means[name] = means[name] + value if name in means else value
        return means


def split(batch: Batch, parts: int) -> list[Batch]:
    """The batch in equal parts, in order."""
    if parts == 1:
        return [batch]
    size = len(batch) // parts
    return [batch.rows(slice(i * size, (i + 1) * size)) for i in range(parts)]
