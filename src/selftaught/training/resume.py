"""Settings of a resumed run: those it began with, and more steps if asked for."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selftaught.core.config import RunConfig
from selftaught.core.files import digest, read_object
from selftaught.core.own_folder import write_json
from selftaught.core.progress import say_once
from selftaught.tasks.spec import TaskSpec
from selftaught.training.data import Data
from selftaught.training.optimizers import learning_rate
from selftaught.training.run_folder import OtherRun, RunFolder, read_environment
from selftaught.training.setup import resolve, spec_for


def as_begun(folder: RunFolder, asked: RunConfig) -> RunConfig:
    """The settings with what was decided where they say "auto" when the run to be resumed began.

    By now it may be decided otherwise: --stream with another --cache-limit, --value-range by other data, --precision on
    another machine.
    """
    path = folder.path / "config.json"
    if not asked.folder.resume or not path.is_file():
        return asked
    began = RunConfig.load(path)
    return asked.replace(
        stream=began.data.stream if asked.data.stream == "auto" else asked.data.stream,
        value_range=began.data.value_range if asked.data.value_range == "auto" else asked.data.value_range,
        precision=began.machine.precision if asked.machine.precision == "auto" else asked.machine.precision,
    )


def spec_as_begun(config: RunConfig, spec: TaskSpec) -> TaskSpec:
    """The task under the settings the run began with; defaults of another version may be others."""
    began, now = (json.dumps(dict(settings), sort_keys=True) for settings in (config.task_settings, spec.settings))
    return spec if began == now else spec_for(config)


def resumed_config(folder: RunFolder, asked: RunConfig, spec: TaskSpec, data: Data) -> RunConfig:
    """The settings a run goes on with; `folder.check` has compared all but the length."""
    began = read_environment(folder.path)["asked"]  # before the config, which is written first
    config = folder.config_for(asked)
    if config.task != asked.task:  # a folder from somebody else must not choose the code that is run
        raise ValueError(f"{asked.folder.out} holds a run of task {config.task}, not {asked.task}; give another --out")
    _check_encoders(folder, config, spec)
    if _is_same_length(began, asked):
        return config
    steps = resolve(asked, spec, data).length.steps
    assert steps is not None
    assert config.length.steps is not None
    if steps < config.length.steps:
        raise OtherRun(
            f"--resume can make a run longer, not shorter: the run in {folder.path} has {config.length.steps} steps, "
            f"now {steps} are asked for; leave the length as it was, or start another run in another --out"
        )
    return config.replace(steps=steps)


def _check_encoders(folder: RunFolder, config: RunConfig, spec: TaskSpec) -> None:
    """The task must name the encoders that the run began with, which older versions did not write."""
    if "encoders" not in read_object(folder.path / "config.json"):
        return
    network = config.network
    before, now = ["encoder", *network.encoders], list(spec.encoders)
    if sorted(before) != sorted(now) or network.kept != spec.kept:
        raise OtherRun(
            f"--resume: the run in {folder.path} trains {', '.join(before)} and keeps {network.kept}, but task "
            f"{config.task!r} now names {', '.join(now)} and keeps {spec.kept}; bring those back, or start another run "
            "in another --out"
        )


def is_finished(folder: RunFolder, config: RunConfig) -> bool:
    """Whether the run has ended and no more steps are asked for."""
    return (folder.path / "summary.json").exists() and folder.config_for(config).length.steps == config.length.steps


def write_settings(folder: RunFolder, asked: RunConfig, config: RunConfig, start: int) -> None:
    """Write the resolved settings, and note where the run was made longer: at its step `start`."""
    path = folder.path / "config.json"
    before = folder.config_for(config).length.steps if start and path.exists() else None
    is_longer = before is not None and before != config.length.steps
    if is_longer:
        (folder.path / "summary.json").unlink(missing_ok=True)
    write_json(path, config.to_dict())
    if not is_longer:
        return
    found = read_environment(folder.path)
    found["asked"] |= {"epochs": asked.length.epochs, "steps": asked.length.steps}
    change: dict[str, Any] = {"step": start, "before": before, "steps": config.length.steps}
    change["lr"] = [_rate(config, max(0, start - 1), before), _rate(config, start, config.length.steps)]
    found["lengthened"] = [*found.get("lengthened", []), change]
    write_json(folder.path / "environment.json", found)


def _rate(config: RunConfig, step: int, steps: int | None) -> float:
    """The learning rate at a step of a run of so many steps."""
    return learning_rate(step, steps or 1, config.optim.lr or 0.0, config.optim.warmup or 0.0)


def notes_of_parts(folder: RunFolder, spec: TaskSpec, start: int) -> list[str]:
    """What is to be said of a run that was made in several parts: other lengths, other text of the task."""
    return [*notes_of_length(folder), *notes_of_task_files(folder, spec, start)]


def notes_of_length(folder: RunFolder) -> list[str]:
    """One sentence for each time the run was made longer; they are said, too."""
    changes = read_environment(folder.path).get("lengthened", [])
    notes = [
        f"the run was planned for {change['before']} steps and made longer at step {change['step']}: from there its "
        f"learning rate follows the schedule of {change['steps']} steps{_jump(change)}, so it is not equal to a run "
        "that had these from the start"
        for change in changes
    ]
    for note in notes:
        say_once(note)
    return notes


def _jump(change: Mapping[str, Any]) -> str:
    """How the learning rate changes there; runs of earlier versions did not write it."""
    if "lr" not in change:
        return ""
    last, first = change["lr"]
    return f" ({last:.3g} in the step before, {first:.3g} in the next, falling to 0)"


def has_other_length(folder: Path, asked: RunConfig) -> bool:
    """Whether a run in the folder was asked for with another length."""
    return (folder / "environment.json").exists() and not _is_same_length(read_environment(folder)["asked"], asked)


def _is_same_length(before: dict[str, Any], asked: RunConfig) -> bool:
    return (before.get("epochs"), before.get("steps")) == (asked.length.epochs, asked.length.steps)


def notes_of_task_files(folder: RunFolder, spec: TaskSpec, start: int) -> list[str]:
    """One sentence for each time that a user's own task file was changed before the run went on at step `start`.

    The hash of each file is kept in environment.json; a run of an older version has none to compare with.
    """
    own = {part.name: Path(inspect.getfile(part.cls)) for part in (spec, *spec.parts.values()) if part.family == "own"}
    if not own:
        return []
    found = read_environment(folder.path)
    now = {name: digest([path.read_text(encoding="utf-8")]) for name, path in own.items()}
    before, changes = found.get("task_files", {}), found.get("task_changes", [])
    for name in sorted(now):
        if start and before.get(name, now[name]) != now[name]:
            note = f"{own[name].name} was changed: from step {start} on, the run is trained by its new text"
            say_once(note)
            changes = [*changes, note]
    if now != before:
        write_json(folder.path / "environment.json", found | {"task_files": now, "task_changes": changes})
    return list(changes)
