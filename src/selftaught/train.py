"""The one loop: every task, image, video and cross-modal, on every device, from the first step to the run folder."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer

from selftaught.batch import Batch
from selftaught.budget import Length, given_length, length_within, recorded_length, say_length, timekeeper_of
from selftaught.catalogue import task_info
from selftaught.checkpoint import flatten_optimizer, load_checkpoint, restore_optimizer, save_checkpoint
from selftaught.config import RunConfig
from selftaught.diagnostics import collapse_warning
from selftaught.first_checks import check_asked, try_own_task
from selftaught.gather import mean_over_processes, of_world
from selftaught.judge import draw_pictures, judge
from selftaught.loggers import check_finite, loggers_of
from selftaught.memory_format import channels_last, in_order
from selftaught.optim import build_optimizer, clip_gradient, learning_rate
from selftaught.own_folder import record
from selftaught.players import only_parameters_of, scalars_of, scalars_of_turns
from selftaught.prepare import (
    Data,
    build_task,
    content_of,
    launch,
    make_fabric,
    open_data,
    recipe_of,
    resolve,
)
from selftaught.processes import check_data, check_processes, group_left_after_error
from selftaught.progress import StepProgress
from selftaught.randomness import generator, seed_from
from selftaught.refresh import fit_buffers, refresh, refresh_steps
from selftaught.resume import is_finished, notes_of_length, resumed_config, write_settings
from selftaught.run import RunFolder, write_json
from selftaught.schedule import BUDGET, Schedule, repeats
from selftaught.signals import Stop, stopping
from selftaught.speed import Speed
from selftaught.tasks.base import PretextTask
from selftaught.timekeeping import Timekeeper


@dataclass
class Training:
    """What a step needs: the task, its wrapped form for the forward pass, the optimiser and the data."""

    fabric: Fabric
    config: RunConfig
    task: PretextTask
    model: nn.Module
    optimizer: Optimizer
    data: Data
    length: Length
    timekeeper: Timekeeper = dataclasses.field(default_factory=Timekeeper)
    schedule: Schedule = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.schedule = self.length.schedule

    def step(self, step: int, batch: Batch) -> dict[str, Tensor]:
        """Forward, backward and update for this process's share of the batch of `step`; returns the task's scalars."""
        config, schedule = self.config, self.schedule
        place = schedule.place(step)
        assert config.lr is not None
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(place, schedule.first, config.lr, config.warmup)
        players = self.task.turns(step) or ("",)
        examples: Iterable[Any] = self._examples(step, batch)
        if len(players) > 1:
            examples = list(examples)
        turns = []
        for number, player in enumerate(players):
            with only_parameters_of(player, self.task):
                turns.append(self._turn(step, number, player, examples))
                clip_gradient(self.task.parameters(), config.clip)
                self.optimizer.step()
                self.optimizer.zero_grad(set_to_none=True)
        self.task.after_step(int(place), schedule.first)
        return scalars_of_turns(turns, self.task.players)

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
            self.config = dataclasses.replace(self.config, steps=steps)
            progress.lengthen(steps)
            if self.fabric.is_global_zero:
                write_json(folder.path / BUDGET, self.schedule.to_dict())
                write_json(folder.path / "config.json", self.config.to_dict())
        self.timekeeper.go_on(done, self.schedule)

    def _examples(self, step: int, batch: Batch) -> Iterator[Any]:
        """What each part of the batch is for the task, one after the other."""
        config, fabric = self.config, self.fabric
        for part, piece in enumerate(split(batch, config.accumulate)):
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
            is_last = part == config.accumulate - 1
            with nullcontext() if is_last else fabric.no_backward_sync(self.model):  # type: ignore[arg-type]
                scalars = scalars_of(self.task, self.model, example, player)
                fabric.backward(scalars["loss"] / config.accumulate)
            for name, value in scalars.items():
                value = value.detach() / config.accumulate
                means[name] = means[name] + value if name in means else value
        return means


def split(batch: Batch, parts: int) -> list[Batch]:
    """The batch in equal parts, in order."""
    if parts == 1:
        return [batch]
    size = len(batch) // parts
    tensors = {name: value for name, value in vars(batch).items() if value is not None}
    return [Batch(**{n: v[i * size : (i + 1) * size] for n, v in tensors.items()}) for i in range(parts)]


def train(asked: RunConfig, *, begin: float | None = None) -> Path:
    """Pretrain as asked; returns the run folder. The global random state is left as it was.

    A budget counts from `begin`, on the clock of `time.monotonic`; from now where it is not given.
    """
    begin = time.monotonic() if begin is None else begin
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if torch.cuda.is_available() else []):
        folder = RunFolder(Path(asked.out))
        try:
            with stopping() as stop, group_left_after_error(), of_world(asked.devices * asked.num_nodes):
                return _train(asked, folder, begin, stop)
        finally:
            folder.release()


def _train(asked: RunConfig, folder: RunFolder, begin: float, stop: Stop) -> Path:
    check_processes(asked)
    check_asked(asked)
    folder.check(asked)
    check_data(asked)
    fabric = make_fabric(asked)
    launch(fabric)
    data = open_data(asked, fabric)
    try_own_task(asked, data)
    is_resumed = False
    if fabric.is_global_zero:
        is_resumed = folder.prepare(asked, content_of(asked, data))
        folder.write_skipped([*data.skipped, *data.left_out.files])
    is_resumed = bool(fabric.broadcast(is_resumed))
    if is_resumed:
        folder.use_same_threads()
    config = resumed_config(folder, asked, data) if is_resumed else resolve(asked, data)
    if is_resumed and is_finished(folder, config):
        load_checkpoint(folder.last)  # says where it is damaged
        return folder.path  # nothing is left to do, and its times stay
    if is_resumed and (folder.path / BUDGET).exists():
        length = recorded_length(config, folder.path / BUDGET)
    elif config.steps is not None:
        length = given_length(config, data)
    else:
        length = length_within(config, data, fabric, begin=begin)
    config = length.config
    say_length(length, data, is_shown=fabric.is_global_zero)
    task = build_task(config, data.num_classes)
    betas = recipe_of(config.task, config.task_settings).betas
    optimizer = build_optimizer(task, config.optimizer, config.lr or 0.0, config.weight_decay or 0.0, betas)
    start = _restore(folder, task, optimizer, data) if is_resumed else 0
    if fabric.is_global_zero:
        folder.keep_until(start)
        if length.schedule.budget is not None:
            write_json(folder.path / BUDGET, length.schedule.to_dict())
        write_settings(folder, asked, config, start)
        data = dataclasses.replace(data, notes=(*data.notes, *notes_of_length(folder)))
    fabric.barrier()
    training = _prepare(fabric, length, task, optimizer, data, begin)
    try:
        task.train()
        stop.is_patient = fabric.world_size == 1  # several processes would have to agree on the step
        return _loop(training, folder, start, begin, stop)
    finally:
        data.loader.close()


def _prepare(
    fabric: Fabric, length: Length, task: PretextTask, optimizer: Optimizer, data: Data, begin: float
) -> Training:
    """Move everything to the device; channels-last weights make convolutions fast on CPU and GPU."""
    channels_last(task)
    for state in optimizer.state.values():
        state.update({name: in_order(value) for name, value in state.items() if isinstance(value, Tensor)})
    if fabric.world_size > 1 and fabric.device.type == "cuda":
        task = nn.SyncBatchNorm.convert_sync_batchnorm(task)
    model, optimizer = fabric.setup(task, optimizer)
    return Training(
        fabric=fabric,
        config=length.config,
        task=task,
        model=model,
        optimizer=optimizer,
        data=data,
        length=length,
        timekeeper=timekeeper_of(length, begin),
    )


def _restore(folder: RunFolder, task: PretextTask, optimizer: Optimizer, data: Data) -> int:
    tensors, meta = load_checkpoint(folder.last)
    state = {name.removeprefix("task."): value for name, value in tensors.items() if name.startswith("task.")}
    fit_buffers(task, state)
    try:
        task.load_state_dict(state, strict=True)
        optimizer.load_state_dict(restore_optimizer(tensors, meta["optimizer"]))
    except (RuntimeError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{folder.last} does not belong to the run described beside it: {reason}") from None
    if "loop.order" in tensors:
        data.loader.follow(meta["order_from"], tensors["loop.order"].numpy())
    return int(meta["step"])


def _save(path: Path, training: Training, step: int, best: float | None) -> None:
    tensors, optimizer = flatten_optimizer(training.optimizer.state_dict())
    tensors.update({f"task.{name}": value for name, value in training.task.state_dict().items()})
    meta = {"step": step, "best": best, "optimizer": optimizer, "config": training.config.to_dict()}
    if (given := training.data.loader.given) is not None:
        meta["order_from"], tensors["loop.order"] = given[0], torch.from_numpy(given[1])
    save_checkpoint(record(path), tensors, meta)


def _loop(training: Training, folder: RunFolder, start: int, begin: float, stop: Stop) -> Path:
    fabric, config, task, data = training.fabric, training.config, training.task, training.data
    per_epoch = data.loader.steps_per_epoch
    look_every, samples = training.schedule.look_every, training.schedule.look_samples
    save_every = config.checkpoint_every or look_every
    planned = dataclasses.replace(config, steps=training.schedule.first)
    refreshed_before = set(refresh_steps(task, data, training.schedule.first))
    loggers = loggers_of(config, folder, fabric)
    best = load_checkpoint(folder.last)[1]["best"] if start else None
    looked: dict[str, float] = {}
    speed = Speed(config.batch_size)
    title = f"{task_info(config.task).short} {config.encoder} {config.size} px"
    with StepProgress(title, training.schedule.steps, start=start, is_shown=fabric.is_global_zero) as progress:
        progress.start("first step")
        done = start
        while done < training.schedule.steps:
            step, done = done, done + 1
            if training.schedule.passes(step, refreshed_before):
                progress.doing("making pseudo-labels of all samples")
                with training.noted("refresh"):
                    scalars_of_all = refresh(task, training.optimizer, data, planned, fabric, step)
                _report_refresh(scalars_of_all, folder, fabric, step)
            started = time.perf_counter()
            batch = data.loader.batch(step)
            waited = time.perf_counter() - started
            scalars = training.step(step, batch)
            training.keep_to_budget(folder, done, progress)
            is_end = done >= training.schedule.steps
            is_logged = done % config.log_every == 0 or is_end
            row = mean_over_processes(scalars, fabric) if is_logged or step == start else {}
            speed.add(waited, time.perf_counter() - started)
            if is_logged:
                check_finite(row, step, config)
                _log(training, folder, loggers, done, row, speed)
            progress.update(done, **row, **({"images/s": speed.recent()} if row else {}))
            if done % look_every == 0 or is_end:
                progress.doing("held-out evaluation")
                with training.noted("look"):
                    looked = judge(task, data, config, fabric, samples=samples)
                held = len(data.held_out)
                _report_look(looked, held, task, folder, fabric, loggers, progress, done, done / per_epoch)
                is_best = best is None or looked[task.metric] > best
                best = looked[task.metric] if is_best else best
                if is_best and fabric.is_global_zero:
                    _save(folder.best, training, done, best)
            if (done % save_every == 0 or is_end or stop.is_save_due()) and fabric.is_global_zero:
                with training.noted("save"):
                    _save(folder.last, training, done, best)
            stop.end_unless(is_end)
    # A run resumed after its last step has not looked yet; all processes look together.
    looked = looked or judge(task, data, config, fabric, samples=samples)
    if fabric.is_global_zero:
        draw_pictures(folder.path / "pictures", task, data, config, fabric.device, samples=samples)
        summary = _summary(training, looked, speed, time.monotonic() - begin)
        write_json(folder.path / "summary.json", summary)
    fabric.barrier()
    return folder.path


def _log(
    training: Training, folder: RunFolder, loggers: list[Any], done: int, row: dict[str, float], speed: Speed
) -> None:
    """One row of metrics.csv and one of speed.csv."""
    if not training.fabric.is_global_zero:
        return
    lr, per_epoch = training.optimizer.param_groups[0]["lr"], training.data.loader.steps_per_epoch
    folder.append("metrics.csv", {"step": done, "epoch": done / per_epoch, "lr": lr, **row})
    folder.append("speed.csv", {"step": done, **speed.row()})
    for logger in loggers:
        logger.log_metrics({f"train/{k}": v for k, v in row.items()}, step=done)


def _report_look(
    looked: dict[str, float],
    samples: int,
    task: PretextTask,
    folder: RunFolder,
    fabric: Fabric,
    loggers: list[Any],
    progress: StepProgress,
    done: int,
    epoch: float,
) -> None:
    """One row of heldout.csv, and a line for people with the figures that say whether the run is well."""
    if not fabric.is_global_zero:
        return
    folder.append("heldout.csv", {"step": done, "epoch": epoch, **looked})
    for logger in loggers:
        logger.log_metrics({f"heldout/{k}": v for k, v in looked.items()}, step=done)
    progress.say(
        f"step {done}: held-out loss {looked['loss']:.3f}, {task.metric} {looked[task.metric]:.3f}, "
        f"effective rank {looked['rankme']:.0f}" + (f", spread {looked['feature_std']:.2f}" if samples > 1 else "")
    )
    if (warning := collapse_warning(looked, samples)) is not None:
        progress.say(f"warning: {warning}")


def _report_refresh(scalars: dict[str, float], folder: RunFolder, fabric: Fabric, step: int) -> None:
    """One row of refresh.csv: what the task says of the pseudo-labels that serve from the step of that number on."""
    if scalars and fabric.is_global_zero:
        folder.append("refresh.csv", {"step": step + 1, **scalars})


def _summary(training: Training, looked: dict[str, float], speed: Speed, seconds: float) -> dict[str, Any]:
    config, task, data = training.config, training.task, training.data
    info = task_info(config.task)
    assert config.steps is not None
    warnings = [
        training.length.warning(config.steps, data.loader.steps_per_epoch),
        repeats(config.batch_size, data.loader.steps_per_epoch),
        collapse_warning(looked, len(data.held_out)),
    ]
    return {
        "task": info.short,
        "family": info.family,
        "encoder": config.encoder,
        "size": config.size,
        "seed": config.seed,
        "steps": config.steps,
        "epochs": config.steps / data.loader.steps_per_epoch,
        "seconds": round(seconds, 1),
        "images_per_second": round(speed.overall(), 1),
        "metric": task.metric,
        "value": looked[task.metric],
        "chance": task.chance(min(config.batch_size, len(data.held_out) * data.sampling.clips_per_video)),
        "rankme": looked["rankme"],
        "alignment": looked["alignment"],
        "uniformity": looked["uniformity"],
        "feature_std": looked["feature_std"] if len(data.held_out) > 1 else None,
        "train_samples": data.loader.count,
        "heldout_samples": len(data.held_out),
        "skipped": len(data.skipped),
        "left_out": dict(data.left_out.counts),
        "notes": list(data.notes),
        "warnings": [warning for warning in warnings if warning],
    }
