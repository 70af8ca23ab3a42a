"""The one loop: every task, image, video and cross-modal, on every device, from the first step to the run folder."""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn
from torch.distributed.fsdp import register_fsdp_forward_method
from torch.optim import Optimizer

from selftaught.core.config import RunConfig
from selftaught.core.devices import make_fabric
from selftaught.core.distributed import mean_over_processes, of_world, rows_of_all
from selftaught.core.own_folder import record, write_json
from selftaught.core.precision import channels_last
from selftaught.core.progress import StepProgress, say, say_once
from selftaught.core.signals import Stop, stopping
from selftaught.data.files.file_tree import lost_files, told_lost
from selftaught.features.diagnostics import collapse_warning
from selftaught.tasks.base import PretextTask
from selftaught.tasks.resolve import with_classes
from selftaught.tasks.spec import TaskSpec
from selftaught.tasks.starting_weights import name_starts, read_starts
from selftaught.training.budget.length import (
    Length,
    given_length,
    length_within,
    recorded_length,
    say_length,
    timekeeper_of,
)
from selftaught.training.budget.schedule import BUDGET, few_held_out, repeats
from selftaught.training.checkpoint import load_checkpoint, restore_optimizer, save_checkpoint
from selftaught.training.data import Data, check_data, content_of, open_data
from selftaught.training.first_checks import check_asked, check_opened
from selftaught.training.look import draw_pictures, judge
from selftaught.training.optimizers import build_optimizer, load_state
from selftaught.training.processes.group import Group, StopTogether, group_of
from selftaught.training.processes.start import check_processes
from selftaught.training.refresh import fit_buffers, refresh, refresh_steps
from selftaught.training.resume import (
    as_begun,
    is_finished,
    notes_of_parts,
    resumed_config,
    spec_as_begun,
    write_settings,
)
from selftaught.training.run_folder import RunFolder
from selftaught.training.run_log import RunLog
from selftaught.training.setup import build_task, is_partly_used, resolve, spec_for, with_batch
from selftaught.training.speed import Speed
from selftaught.training.step import Training


def train(asked: RunConfig, *, begin: float | None = None, on_ready: Callable[[], None] | None = None) -> Path:
    """Pretrain as asked; returns the run folder. The global random state is left as it was.

    A budget counts from `begin`, on the clock of `time.monotonic`, or from now. `on_ready` is given in a process that
    another one started for the same run: called before they meet.
    """
    begin = time.monotonic() if begin is None else begin
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if torch.cuda.is_available() else []):
        folder = RunFolder(Path(asked.folder.out))
        try:
            with stopping() as stop, group_of(asked, stop, begin, on_ready) as group:
                path = _train(asked, folder, begin, stop, group)
            if on_ready is None:
                stop.heed()
            return path
        finally:
            folder.release()


def _train(asked: RunConfig, folder: RunFolder, begin: float, stop: Stop, group: Group) -> Path:
    check_processes(asked.machine)
    spec = spec_for(asked)
    asked = name_starts(with_batch(asked, spec), spec)
    is_partly = is_partly_used(check_asked(asked, spec))
    folder.check(asked)
    starts = None if folder.goes_on(asked) else read_starts(asked, spec)
    begun = as_begun(folder, asked)
    fabric = make_fabric(begun.machine, is_partly_used=is_partly)
    group.launch(fabric, lambda: check_data(begun, spec))
    data = open_data(begun, spec, fabric)
    spec = with_classes(spec, data.num_classes)
    check_opened(asked, spec, data)
    is_resumed, content = False, content_of(spec, data)
    if fabric.is_global_zero:
        is_resumed = folder.prepare(asked, content)
        folder.write_skipped([*data.skipped, *data.left_out.files])
        if told := told_lost(data.skipped, begun.data.path):
            say(f"{told}; skipped.csv of the run lists them")
    is_resumed, content_of_first = fabric.broadcast((is_resumed, content))
    if not fabric.is_global_zero:
        folder.check_shared(asked, node=fabric.node_rank, is_same_data=content == content_of_first)
    if is_resumed:
        folder.use_same_threads()
    if not is_resumed:
        starts = starts or read_starts(asked, spec)
        config = resolve(starts.config, spec, data)
        for line in starts.said:
            say_once(line, is_shown=fabric.is_global_zero)
    else:
        config, starts = resumed_config(folder, asked, spec, data), None
    spec = spec_as_begun(config, spec) if is_resumed else spec
    if is_resumed and is_finished(folder, config):
        load_checkpoint(folder.last)  # says where it is damaged
        return folder.path  # nothing is left to do, and its times stay
    if is_resumed and (folder.path / BUDGET).exists():
        length = recorded_length(config, folder.path / BUDGET)
    elif config.length.steps is not None:
        length = given_length(config, data)
    else:
        length = length_within(config, spec, data, fabric, begin=begin)
    config = length.config
    say_length(length, spec, data, is_shown=fabric.is_global_zero)
    task = build_task(spec, config, starts)
    restored = _restore(folder, task, data) if is_resumed else None
    start = 0 if restored is None else restored.step
    training = _prepare(fabric, length, spec, task, restored, data, begin)
    if fabric.is_global_zero:
        folder.keep_until(start)
        if length.schedule.budget is not None:
            write_json(folder.path / BUDGET, length.schedule.to_dict())
        write_settings(folder, asked, config, start)
        training.data = dataclasses.replace(data, notes=(*data.notes, *notes_of_parts(folder, spec, start)))
    fabric.barrier()
    try:
        task.train()
        stop.is_patient = True
        return _loop(training, folder, start, begin, stop)
    finally:
        data.loader.close()


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What a checkpoint holds beside the task: how many steps were done, and the optimizer's `state_dict()`."""

    path: Path
    step: int
    optimizer: dict[str, Any]


def _prepare(
    fabric: Fabric,
    length: Length,
    spec: TaskSpec,
    task: PretextTask,
    restored: Restored | None,
    data: Data,
    begin: float,
) -> Training:
    """Move everything to the device; channels-last weights make convolutions fast on CPU and GPU.

    The optimizer comes last: where the task is split over the processes, its parameters are others then.
    """
    config = length.config
    if fabric.world_size > 1 and fabric.device.type == "cuda" and task.shares_statistics:
        task = nn.SyncBatchNorm.convert_sync_batchnorm(task)
    replica = None
    if config.machine.is_sharded:  # which takes contiguous parameters only
        replica = copy.deepcopy(task)
    else:
        channels_last(task)
    model = fabric.setup_module(task)
    if replica is not None:
        register_fsdp_forward_method(task, "pseudo_label")  # where a teacher may be asked
    optimizer = _optimizer(task, spec, config)
    if restored is not None:
        with _of_same_run(restored.path):
            load_state(optimizer, restored.optimizer)
    wrapped = fabric.setup_optimizers(optimizer)
    assert isinstance(wrapped, Optimizer)
    return Training(
        fabric=fabric,
        config=config,
        spec=spec,
        task=task,
        model=model,
        optimizer=wrapped,
        data=data,
        length=length,
        replica=replica,
        timekeeper=timekeeper_of(length, begin),
    )


def _optimizer(task: PretextTask, spec: TaskSpec, config: RunConfig) -> Optimizer:
    # A run of an earlier version has none; its checkpoint does.
    momentum = spec.recipe.momentum if config.optim.momentum is None else config.optim.momentum
    return build_optimizer(
        task,
        config.optim.optimizer,
        config.optim.lr or 0.0,
        config.optim.weight_decay or 0.0,
        spec.recipe.betas,
        task.parameter_groups(),
        momentum,
        rates=_rates(config),
    )


def _rates(config: RunConfig) -> dict[str, float]:
    """Encoder that starts from weights -> its learning rate as a factor of that of the run."""
    if config.optim.encoder_lr is None or not config.optim.lr:
        return {}
    return dict.fromkeys(config.network.started, config.optim.encoder_lr / config.optim.lr)


def _restore(folder: RunFolder, task: PretextTask, data: Data) -> Restored:
    tensors, meta = load_checkpoint(folder.last)
    state = {name.removeprefix("task."): value for name, value in tensors.items() if name.startswith("task.")}
    fit_buffers(task, state)
    with _of_same_run(folder.last):
        task.load_state_dict(state, strict=True)
        optimizer = restore_optimizer(tensors, meta["optimizer"])
    own = {name.removeprefix("loop."): value for name, value in tensors.items() if name.startswith("loop.")}
    data.loader.restore(own, meta)
    return Restored(path=folder.last, step=int(meta["step"]), optimizer=optimizer)


@contextmanager
def _of_same_run(path: Path) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split("\n", 1)[-1].split())[
            :300
        ]  # the first of several lines names the class alone
        raise ValueError(f"{path} does not belong to the run described beside it: {reason}") from None


def _save(path: Path, training: Training, step: int, best: float | None) -> None:
    """Write a checkpoint in the first process; all call it, as each may hold a part of the parameters."""
    if training.replica is None and not training.fabric.is_global_zero:
        return
    tensors, optimizer = training.state()
    if not training.fabric.is_global_zero:
        return
    meta = {"step": step, "best": best, "optimizer": optimizer, "config": training.config.to_dict()}
    own, values = training.data.loader.state(step)
    tensors |= {f"loop.{name}": value for name, value in own.items()}
    save_checkpoint(record(path), tensors, meta | values)


def _loop(training: Training, folder: RunFolder, start: int, begin: float, stop: Stop) -> Path:
    fabric, config, task, data = training.fabric, training.config, training.task, training.data
    look_every, samples = training.schedule.look_every, training.schedule.look_samples
    save_every = config.folder.checkpoint_every or look_every
    planned = config.replace(steps=training.schedule.first)
    refreshed_before = set(refresh_steps(task, data, training.schedule.first))
    per_epoch = data.loader.steps_per_epoch
    log = RunLog(folder, fabric, config, steps_per_epoch=per_epoch)
    best = load_checkpoint(folder.last)[1]["best"] if start else None
    looked: dict[str, float] = {}
    speed, together = Speed(config.optim.batch), StopTogether(fabric.world_size)
    network = config.network
    title = f"{training.spec.short} {network.architectures[network.kept]} {network.size} px"
    with log, StepProgress(title, training.schedule.steps, start=start, is_shown=fabric.is_global_zero) as progress:
        progress.start("first step")
        done = start
        while done < training.schedule.steps:
            step, done = done, done + 1
            if training.schedule.passes(step, refreshed_before):
                progress.doing("making pseudo-labels of all samples")
                with training.noted("refresh"), training.whole_task() as whole:
                    scalars_of_all = refresh(task, training.optimizer, data, planned, fabric, step, whole=whole)
                log.refreshed(step, scalars_of_all)
            started = time.perf_counter()
            batch = data.loader.batch(step)
            waited = time.perf_counter() - started
            scalars = training.step(step, batch)
            training.keep_to_budget(folder, done, progress)
            is_end = done >= training.schedule.steps
            is_logged = done % config.folder.log_every == 0 or is_end
            row = mean_over_processes(scalars, fabric) if is_logged or step == start else {}
            speed.add(waited, time.perf_counter() - started)
            if is_logged:
                _check_finite(row["loss"], step, config.optim.lr)
                log.training(done, training.optimizer.param_groups[0]["lr"], row, speed)
            progress.update(done, **row, **({f"{training.spec.unit}/s": speed.recent()} if row else {}))
            if done % look_every == 0 or is_end:
                progress.doing("held-out evaluation")
                with training.noted("look"), training.whole_task() as whole:
                    looked = judge(whole, data, config, fabric, samples=samples)
                value = looked[task.metric_name()]
                log.held_out(done, looked, task.metric_name(), len(data.held_out), progress)
                is_best = best is None or value > best
                best = value if is_best else best
                if is_best:
                    _save(folder.best, training, done, best)
            together.after_step(stop, is_end=is_end)
            if done % save_every == 0 or is_end or stop.is_save_due():
                with training.noted("save"):
                    _save(folder.last, training, done, best)
            together.end_unless(stop, is_end)
    with training.whole_task() as whole:
        # A run resumed after its last step has not looked yet; all processes look together.
        looked = looked or judge(whole, data, config, fabric, samples=samples)
        _finish(training, whole, folder, looked, speed, begin, samples=samples)
    return folder.path


def _finish(
    training: Training,
    task: PretextTask,
    folder: RunFolder,
    looked: dict[str, float],
    speed: Speed,
    begin: float,
    *,
    samples: int,
) -> None:
    """Write down what was skipped, the images and the summary; all processes call this."""
    fabric, config, data = training.fabric, training.config, training.data
    skipped = rows_of_all(list(data.loader.skipped))
    if fabric.is_global_zero:
        folder.write_skipped([*skipped, *data.held_out.skipped, *data.left_out.files])
        with of_world(1):  # the others wait below: a task that gathers rows would wait for them
            draw_pictures(folder.path / "pictures", task, data, config, fabric.device, samples=samples)
        summary = _summary(training, looked, speed, time.monotonic() - begin)
        listed = [*skipped, *data.held_out.skipped]
        summary["skipped"] = lost_files(listed)
        summary["notes"] += _note_of_damage(len(listed) - lost_files(listed))
        write_json(folder.path / "summary.json", summary)
    fabric.barrier()


def _note_of_damage(count: int) -> list[str]:
    files = "a part of 1 file is" if count == 1 else f"parts of {count:,} files are"
    return [f"{files} damaged or missing, and the rest is used; skipped.csv lists where"] if count else []


def _check_finite(loss: float, step: int, lr: float | None) -> None:
    """Raise a `ValueError` if the loss is not finite."""
    if not math.isfinite(loss):
        raise ValueError(f"the loss is {loss} at step {step + 1}; lower --lr (it is {lr}) or set --clip 1")


def _summary(training: Training, looked: dict[str, float], speed: Speed, seconds: float) -> dict[str, Any]:
    config, task, data = training.config, training.task, training.data
    assert config.length.steps is not None
    warnings = [
        training.length.warning(config.length.steps, data.loader.steps_per_epoch),
        repeats(config.optim.batch, data.loader.steps_per_epoch),
        few_held_out(len(data.held_out)),
        collapse_warning(looked, len(data.held_out)),
    ]
    return {
        "task": training.spec.short,
        "family": training.spec.family,
        "encoder": config.network.architectures[config.network.kept],
        "size": config.network.size,
        "seed": config.seed,
        "steps": config.length.steps,
        "epochs": config.length.steps / data.loader.steps_per_epoch,
        "seconds": round(seconds, 1),
        "unit": training.spec.unit,
        "images_per_second": round(speed.overall(), 1),
        "metric": task.metric_name(),
        "value": looked[task.metric_name()],
        "chance": task.chance(min(config.optim.batch, len(data.held_out) * data.sampling.clips_per_video)),
        "rankme": looked["rankme"],
        "alignment": looked["alignment"],
        "uniformity": looked["uniformity"],
        "feature_std": looked["feature_std"] if len(data.held_out) > 1 else None,
        "train_samples": data.loader.count,
        "heldout_samples": len(data.held_out),
        "skipped": lost_files(data.skipped),
        "left_out": dict(data.left_out.counts),
        "notes": [*data.notes, *(entry["read"] for entry in config.network.started.values())],
        "warnings": [warning for warning in warnings if warning],
    }
