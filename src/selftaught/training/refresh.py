"""Pseudo-labels of all samples at once, updated between epochs from the current features: clusters, graphs."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.optim import Optimizer

from selftaught.core.config import RunConfig
from selftaught.core.distributed import gather_strided, part_like
from selftaught.core.precision import autocast
from selftaught.core.randomness import generator
from selftaught.data.loader import ordered_batches
from selftaught.data.store.subset import Subset
from selftaught.tasks.base import Known, PretextTask, Refreshed

if TYPE_CHECKING:
    from selftaught.training.data import Data


def refresh_steps(task: PretextTask, data: Data, steps: int) -> list[int]:
    """The steps of a run of `steps` before which pseudo-labels are updated, in order.

    The first one, each share of the run that the task names, and from each of these on every so many epochs; stretches
    between two shares are cut in equal parts.
    """
    if not task.refresh_epochs():
        return []
    # Rounded up, so that a task that compares the share of the steps done with its own has had it.
    begins = sorted({0, *(step for share in task.refresh_shares() if (step := math.ceil(share * steps)) < steps)})
    bounds = zip(begins, [*begins[1:], steps], strict=True)
    return [step for begin, end in bounds for step in range(begin, end, steps_between(task, data, end - begin))]


def steps_between(task: PretextTask, data: Data, steps: int | None = None) -> int:
    """Steps from one refresh to the next; 0 where the task wants none, more than any run has where it wants one.

    In a run of `steps` the last stretch is as long as the others: labels that are updated just before the end would
    leave a head that has not learned it.
    """
    epochs = task.refresh_epochs()
    if epochs == math.inf:
        return sys.maxsize
    if not epochs:
        return 0
    wanted = max(1, round(epochs * data.loader.steps_per_epoch))
    return wanted if steps is None else math.ceil(steps / max(1, round(steps / wanted)))


@torch.no_grad()
def refresh(
    task: PretextTask,
    optimizer: Optimizer,
    data: Data,
    config: RunConfig,
    fabric: Fabric,
    step: int,
    *,
    whole: PretextTask | None = None,
) -> dict[str, float]:
    """Call the task's `before_epoch` in the first process and hand what it changed to all; returns its scalars.

    `whole` is a copy of a task that is split over the processes: the one that is asked.
    """
    asked = task if whole is None else whole
    known = known_samples(asked, data, config, fabric)
    state: dict[str, Tensor] = {}
    made = Refreshed(scalars={})
    if fabric.is_global_zero:
        before = {name: p.clone() for name, p in asked.named_parameters()}
        count = samples_until_next(asked, data, config, step)
        made = asked.before_epoch(known, count, generator(config.seed, "epoch", step))
        changed = {name: p for name, p in asked.named_parameters() if not torch.equal(p, before[name])}
        state = {name: value.detach().cpu() for name, value in (*changed.items(), *asked.named_buffers())}
    if fabric.world_size > 1:
        state, made = fabric.broadcast((state, made))
    fit_buffers(task, state)
    task.to(fabric.device)  # a new buffer may have been made on the CPU
    for name, buffer in task.named_buffers():
        buffer.copy_(state[name])
    for name, parameter in task.named_parameters():
        if name in state:
            parameter.copy_(part_like(state[name], parameter))
            _forget_momentum(optimizer, parameter)
    data.whole.follow(step, None if made.order is None else made.order.cpu().numpy())
    return made.scalars


def _forget_momentum(optimizer: Optimizer, parameter: Tensor) -> None:
    """Zero the parameter's state; a fused optimiser does not bear its absence for some parameters only."""
    for value in optimizer.state.get(parameter, {}).values():
        if isinstance(value, Tensor):
            value.zero_()


def samples_until_next(task: PretextTask, data: Data, config: RunConfig, step: int) -> int:
    """Samples that are read from `step` on until the next refresh or the end; one epoch's where no end is known yet."""
    if config.length.steps is None:
        count = min(steps_between(task, data), round(data.loader.steps_per_epoch) or 1)
    else:
        later = (due for due in refresh_steps(task, data, config.length.steps) if due > step)
        count = next(later, config.length.steps) - step
    return count * config.optim.batch // data.sampling.clips_per_video


@torch.no_grad()
def known_samples(task: PretextTask, data: Data, config: RunConfig, fabric: Fabric) -> Known:
    """The `Known` of the training samples for `before_epoch`; the processes share the work."""
    was_training = task.training
    task.eval()
    chosen = data.whole.chosen
    parts = []
    for batch in ordered_batches(
        Subset(data.samples, chosen),
        sampling=data.sampling,
        batch_size=config.optim.batch,
        device=fabric.device,
        rank=fabric.global_rank,
        world=fabric.world_size,
    ):
        with autocast(fabric.device, config.machine.precision):
            parts.append(task.embed(batch).float())
    task.train(was_training)
    labels = data.samples.labels
    return Known(
        index=torch.from_numpy(chosen),
        features=gather_strided(torch.cat(parts), len(chosen)).cpu(),
        labels=None if labels is None else torch.from_numpy(labels[chosen]),
    )


def fit_buffers(task: PretextTask, state: Mapping[str, Tensor]) -> None:
    """Give buffers the shape they have in `state`: those that hold one number a sample grow with the data."""
    for name, buffer in list(task.named_buffers()):
        if name in state and buffer.shape != state[name].shape:
            module, _, own = name.rpartition(".")
            setattr(task.get_submodule(module), own, torch.empty_like(state[name], device=buffer.device))
