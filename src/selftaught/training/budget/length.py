"""The length of a run: what a time budget allows, and what is said of it before the first step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import torch
from lightning_fabric import Fabric

from selftaught.core.config import RunConfig
from selftaught.core.devices import make_fabric
from selftaught.core.progress import clock, say, working
from selftaught.core.settings.groups import Stem
from selftaught.core.settings.values import parse_seconds
from selftaught.encoders.base import Encoder
from selftaught.tasks.base import PretextTask
from selftaught.tasks.resolve import with_classes
from selftaught.tasks.spec import TaskSpec
from selftaught.training.budget.schedule import (
    HELD_OUT_SAMPLES,
    Schedule,
    few_held_out,
    length_in_words,
    looks_between,
    needed,
    plural,
    repeats,
    too_short,
    warning_of_length,
)
from selftaught.training.budget.timekeeping import Costs, Timekeeper, plan
from selftaught.training.budget.trial import measure
from selftaught.training.data import Data, open_data
from selftaught.training.run_folder import read_environment
from selftaught.training.setup import build_task, resolve

TRIAL_SHARE = 0.05
"""Part of a budget that the speed of a step is measured in."""
LONGEST_TRIAL = 10.0
"""Most seconds in which the speed of a step is measured, and of other settings where a run is too short."""
FASTER = 1.3
"""How many times as many steps other settings must make to be named."""


@dataclass(frozen=True, kw_only=True)
class Length:
    """What was settled about the length of a run.

    Attributes:
        config: with the steps, and the stem where the budget chose it.
        costs: what the parts of the run take; None where the steps were given.
        better: what to ask for where the run is too short.
        broken: the line that says that the budget cannot be kept, None where it can.
    """

    config: RunConfig
    schedule: Schedule
    costs: Costs | None = None
    better: tuple[str, ...] = ()
    broken: str | None = None

    def warning(self, steps: int, per_epoch: float) -> str:
        """One sentence where a run of so many steps is too short, else nothing."""
        return warning_of_length(steps, per_epoch, self.better) if too_short(steps, per_epoch) else ""


def given_length(config: RunConfig, data: Data) -> Length:
    """Of a run whose steps are known."""
    assert config.length.steps is not None
    per_epoch = data.loader.steps_per_epoch
    look = min(HELD_OUT_SAMPLES, len(data.held_out)) / config.optim.batch * 2 / 3
    schedule = Schedule(
        parts=((0, config.length.steps),),
        look_every=looks_between(config.length.steps, per_epoch, config.folder.evaluate_every, look),
    )
    return Length(config=config, schedule=schedule, better=(f"--steps {needed(per_epoch)} or more",))


def length_within(config: RunConfig, spec: TaskSpec, data: Data, fabric: Fabric, *, begin: float) -> Length:
    """The length that fits into the budget, counted from `begin` on the monotonic clock.

    Measures a step; where the run would be too short, also other stems (`--stem auto` takes the published one where
    that helps) and, for a hint, other settings.
    """
    assert config.length.budget is not None
    seconds = parse_seconds(config.length.budget)
    allowed = _allowed(seconds)
    per_epoch = data.loader.steps_per_epoch

    def fitting(costs: Costs, of: RunConfig) -> Schedule:
        return _plan(costs, of, data, seconds - float(fabric.broadcast(monotonic() - begin)))

    with working("measuring the speed of a step", is_shown=fabric.is_global_zero):
        config, costs = choose_stem(config, spec, data, fabric, fitting, allowed=allowed)
        better = []
        if too_short(fitting(costs, config).steps, per_epoch):
            better = _better(config, spec, costs, data, fabric, allowed=allowed)
    schedule = fitting(costs, config)
    spent = float(fabric.broadcast(monotonic() - begin))
    better.append(_longer_budget(costs, schedule, needed(per_epoch), spent))
    return Length(
        config=config.replace(steps=schedule.steps, budget=None),
        schedule=schedule,
        costs=costs,
        better=tuple(better),
        broken=promise(costs, schedule, seconds, spent),
    )


def _allowed(seconds: float) -> float:
    """How long a trial may take within a budget of so many seconds."""
    return min(LONGEST_TRIAL, max(0.3, TRIAL_SHARE * seconds))


def _plan(costs: Costs, config: RunConfig, data: Data, seconds: float) -> Schedule:
    """The schedule that fits into the seconds that are left of the budget."""
    return plan(
        costs,
        seconds,
        per_epoch=data.loader.steps_per_epoch,
        evaluate_every=config.folder.evaluate_every,
        held_out=len(data.held_out),
        budget=str(config.length.budget),
    )


def choose_stem(
    config: RunConfig,
    spec: TaskSpec,
    data: Data,
    fabric: Fabric,
    fitting: Callable[[Costs, RunConfig], Schedule],
    *,
    allowed: float,
    note: str = "",
) -> tuple[RunConfig, Costs]:
    """The settings with the stem that auto chooses, and what they cost; where it matters it is said, with the note.

    The published stem is measured first: it is the faster one by far, and where even that makes too few steps, there is
    no time to lose.
    """
    per_epoch = data.loader.steps_per_epoch
    task = build_task(spec, config)
    other = _built(spec, config.replace(stem="standard")) if _auto_took_small(config, task) else None
    if other is None:
        return config, measure(config, task, data, fabric, allowed=allowed)
    fast = measure(*other, data, fabric, allowed=allowed)
    steps = fitting(fast, config).steps
    if not too_short(steps, per_epoch):
        costs = measure(config, task, data, fabric, allowed=allowed)
        if not too_short(fitting(costs, config).steps, per_epoch):
            return config, costs
    say(
        f"--stem auto takes the standard stem: {config.length.budget} are about {steps:,} {plural('step', steps)} with "
        f"it and too few with the small one, which --stem small asks for{note}",
        is_shown=fabric.is_global_zero,
    )
    return other[0], fast


def recorded_length(config: RunConfig, path: Path) -> Length:
    """Of a run with a budget that is resumed: as it was written down, and not changed any more."""
    schedule = Schedule.load(path)
    return Length(config=config.replace(steps=schedule.steps), schedule=schedule)


def timekeeper_of(length: Length, begin: float) -> Timekeeper:
    """What holds the run to its budget; it holds none that was resumed."""
    if length.costs is None or length.schedule.budget is None:
        return Timekeeper()
    seconds = parse_seconds(length.schedule.budget)
    return Timekeeper(length.costs, ends=begin + seconds, seconds=seconds)


def say_length(length: Length, spec: TaskSpec, data: Data, *, is_shown: bool) -> None:
    """The line before training: steps and passes, and that they are too few where they are."""
    config, warning = length.config, length.warning(length.schedule.steps, data.loader.steps_per_epoch)
    noun = "image" if spec.kind == "image" else "video"
    line = length_in_words(
        length.schedule.steps, config.optim.batch, data.loader.steps_per_epoch, data.loader.count, noun
    )
    if length.costs is not None:
        line += f", about {length.costs.step:.2g} s each"
    if length.costs is not None and length.broken is None:
        line += f"; with all else that fits {length.schedule.budget}"
    twice = repeats(config.optim.batch, data.loader.steps_per_epoch)
    few = few_held_out(len(data.held_out))
    for text in (line, length.broken, *(f"warning: {text}" for text in (warning, twice, few) if text)):
        if text:
            say(text, is_shown=is_shown)


def promise(costs: Costs, schedule: Schedule, seconds: float, spent: float) -> str | None:
    """The line that says that a budget cannot be kept; None where it can."""
    least = spent + costs.left(0, schedule)
    if schedule.steps > 1 or least <= 1.05 * seconds:
        return None
    one = costs.step + costs.refresh * min(1, costs.between)
    return (
        f"--budget {schedule.budget} cannot be kept: preparing took {clock(spent)}, one step takes about {one:.2g} s "
        f"and its evaluation {clock(costs.ending(schedule.look_samples))}; this takes about {clock(least)}"
    )


def _longer_budget(costs: Costs, schedule: Schedule, steps: int, spent: float) -> str:
    """The budget that so many steps need, rounded up."""
    looks = 1.15 if schedule.steps > 1 else 1.1
    seconds = spent + steps * costs.step * looks + costs.ending(schedule.look_samples)
    if costs.between:
        seconds += costs.refresh * math.ceil(steps / costs.between)
    return f"--budget {math.ceil(seconds / 60)}m" if seconds < 7200 else f"--budget {math.ceil(seconds / 360) / 10:g}h"


def _auto_took_small(config: RunConfig, task: PretextTask) -> bool:
    """Whether an encoder has the small stem without having been asked for it."""
    encoders = [child for child in task.children() if isinstance(child, Encoder)]
    return config.network.stem == "auto" and any(getattr(encoder, "stem", None) == "small" for encoder in encoders)


def _built(spec: TaskSpec, config: RunConfig) -> tuple[RunConfig, PretextTask] | None:
    """The task of other settings, None where it cannot be had with them."""
    try:
        return config, build_task(spec, config)
    except ValueError:
        return None


def _others(config: RunConfig, spec: TaskSpec) -> Iterator[tuple[str, RunConfig]]:
    """Settings that may be faster, by the flags that ask for them."""
    if config.network.stem == "small":
        yield "--stem standard", config.replace(stem="standard")
    if config.network.size > 48:
        size = max(32, config.network.size // 2 // 8 * 8)
        yield f"--size {size} --stem standard", config.replace(size=size, stem="standard")
    if spec.kind == "image":
        for name in ("alexnet", "resnet18"):
            encoder = spec.seen_as(name)
            if encoder != config.network.encoder:
                yield f"--encoder {name}", config.replace(encoder=encoder)


def _better(
    config: RunConfig, spec: TaskSpec, costs: Costs, data: Data, fabric: Fabric, *, allowed: float
) -> list[str]:
    """Flags that make more steps in the same time, with how many times as many, by a short measurement."""
    begin = monotonic()
    found: list[tuple[float, str]] = []
    for flags, other in _others(config, spec):
        if not fabric.broadcast(monotonic() - begin < allowed):
            break
        if (built := _built(spec, other)) is None:
            continue
        times = costs.step / measure(*built, data, fabric, allowed=min(1.0, allowed / 4)).step
        if times > FASTER:
            found.append((times, f"{flags} (about {times:.2g} times as fast)"))
    return [text for _, text in sorted(found, reverse=True)[:3]]


def stem_for_all(runs: Sequence[tuple[RunConfig, TaskSpec]]) -> Stem:
    """The one stem of the runs of a comparison under a budget: the published one where the small one would leave any of
    them too short. Runs that began already, and are resumed, had it decided.
    """
    first = runs[0][0]
    if first.length.budget is None or first.network.stem != "auto":
        return first.network.stem
    for run, _ in runs:
        before = Path(run.folder.out) / "environment.json"
        if run.folder.resume and before.is_file():
            stem: Stem = read_environment(before.parent)["asked"].get("stem", "auto")
            return stem
    with torch.random.fork_rng():
        return next((stem for run, spec in runs if (stem := _stem_alone(run, spec)) != "auto"), "auto")


def _stem_alone(run: RunConfig, spec: TaskSpec) -> Stem:
    """The stem that one of several runs would choose, measured on one device."""
    assert run.length.budget is not None
    seconds = parse_seconds(run.length.budget)
    alone = run.replace(devices=1, num_nodes=1, batch_size=run.optim.batch // run.machine.world)
    fabric = make_fabric(alone.machine, is_partly_used=False)
    data = open_data(alone, spec, fabric)
    spec = with_classes(spec, data.num_classes)
    try:

        def fitting(costs: Costs, of: RunConfig) -> Schedule:
            return _plan(costs, of, data, seconds)

        with working(f"measuring the speed of a step of {run.task}"):
            note = f"; so it is for all tasks, by the speed of {run.task}"
            config = resolve(alone, spec, data)
            return choose_stem(config, spec, data, fabric, fitting, allowed=_allowed(seconds), note=note)[
                0
            ].network.stem
    finally:
        data.loader.close()
