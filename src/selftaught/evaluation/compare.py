"""Which pretext task suits these data: the same encoder, data and budget for every task, one table, one page."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from selftaught.core.config import RunConfig
from selftaught.core.files import check_out_folder
from selftaught.core.names import unknown_name
from selftaught.core.own_folder import Locked, is_own, mark, others_in, record, write_json
from selftaught.core.progress import clock, say
from selftaught.core.settings.groups import HINTS, DataSettings, Stem
from selftaught.core.settings.values import parse_seconds
from selftaught.data.modality import USUAL_CLIP
from selftaught.data.sources.open import open_part
from selftaught.encoders.names import given_weights
from selftaught.encoders.spec import USUAL, USUAL_OF_TOKENS
from selftaught.evaluation.data.base import Asked
from selftaught.evaluation.evaluate import evaluate_encoder
from selftaught.evaluation.fitting_probes import AUTO, OF_VIDEOS, fitting_probes
from selftaught.evaluation.fitting_probes import USUAL as USUAL_PROBE
from selftaught.evaluation.measurement_checks import check_kind, check_measurement
from selftaught.evaluation.metrics.standing import with_standings
from selftaught.evaluation.parts_of_work import PartsOfWork
from selftaught.evaluation.probes.catalogue import probe_info
from selftaught.evaluation.rank_agreement import agreement
from selftaught.evaluation.side_by_side.engines import Engine, engine_of
from selftaught.evaluation.side_by_side.one_task import Order, label_free_of, measured_task
from selftaught.evaluation.subject import Subject, open_subject
from selftaught.evaluation.supervised import check_supervised_kind
from selftaught.evaluation.two_data import for_both
from selftaught.tasks.catalogue import task_info
from selftaught.tasks.spec import TaskSpec
from selftaught.tasks.starting_weights import name_starts, read_starts
from selftaught.training.budget.length import stem_for_all
from selftaught.training.first_checks import check_asked, try_own_task_early
from selftaught.training.processes.start import check_alone
from selftaught.training.setup import spec_for, with_batch
from selftaught.training.streamed import shards_to_stream

LABEL_FREE = ("rankme", "alignment", "uniformity")
"""Metrics without labels that a row has."""


def compare_tasks(
    config: RunConfig,
    tasks: Sequence[str],
    *,
    labelled: str | None = None,
    probe: str = AUTO,
    probe_settings: dict[str, Any] | None = None,
    fraction: float = 1.0,
    supervised: bool = False,
    given: Sequence[str] = (),
    parallel: str | None = None,
    if_possible: Collection[str] = (),
) -> dict[str, Any]:
    """Pretrain every task as `config` says and rank them, beside given encoders, each a text of `open_subject`.

    Tasks in `if_possible` are left out where the data lack what they need, such as poses; "left_out" has the reasons.

    With labelled data the probe ranks; without, the effective rank of the features does (RankMe). Metrics without
    labels are measured on the held-out part of the data either way, so that "label_free_agreement" can say how
    well they would have ranked the tasks. What is done stays: with --resume finished tasks are not trained
    again.
    """
    check_alone("compare")
    _check_names(tasks, probe)
    engine = None if parallel is None else engine_of(parallel, Path(config.folder.out), devices=config.machine.devices)
    out = Path(config.folder.out)
    tasks, left_out = _with_data(config, tasks, if_possible)
    config, runs, hints = _runs_and_hints(config, tasks, labelled)
    reading = None if labelled is None else config.data.of(labelled, download=config.data.download, **hints)
    probe = _probe_for(config, runs, reading) if probe == AUTO else probe
    _check(config, runs)
    for asked, spec in {run.network.encoder: (run, spec) for run, spec in runs}.values():
        _check_ranking(asked, spec, reading, probe, probe_settings, fraction, supervised)
    subjects = _given(config, given, [spec.short for _, spec in runs])
    _check_folder(out, is_allowed=config.folder.resume or config.folder.overwrite)
    how: dict[str, Any] = {"probe": probe, "settings": probe_settings, "fractions": [fraction]}
    rows = [_row_of_given(subject, config, reading, how) for subject in subjects]
    orders = _orders(config, runs, labelled, hints, how, supervised=supervised, given=rows)
    mark(out, "comparison")
    measured: dict[int, dict[str, Any]] = {}
    with Locked(out):
        for number, row in _one_by_one(orders) if engine is None else _side_by_side(engine, orders):
            record(out / row["run"])
            measured[number] = row
            done = [measured[place] for place in sorted(measured)]
            write_json(out / "compare.json", _result(config, labelled, probe, [*rows, *done]) | {"left_out": left_out})
        rows += [measured[place] for place in sorted(measured)]
        result = _result(config, labelled, probe, rows)
        result |= {"label_free_agreement": _agreement(rows), "left_out": left_out}
        write_json(out / "compare.json", result)
    return result


def _orders(
    config: RunConfig,
    runs: Sequence[tuple[RunConfig, TaskSpec]],
    labelled: str | None,
    hints: Mapping[str, Any],
    how: Mapping[str, Any],
    *,
    supervised: bool,
    given: Sequence[Mapping[str, Any]],
) -> list[Order]:
    """What is done for each task; the first one of each encoder also learns from labels, where that is asked for."""
    stem, known, orders = _stem(config, runs), {row["encoder"] for row in given}, []
    for began, spec in runs:
        asked = began.replace(stem=stem)
        order: Order = {
            "config": asked.to_dict(),
            "task": spec.short,
            "data": config.data.path,
            "labelled": labelled,
            "hints": dict(hints),
            "download": config.data.download,
            "how": {**how, "supervised": supervised and asked.network.encoder not in known, "as_run": supervised},
        }
        known.add(asked.network.encoder)
        orders.append(order)
    return orders


def _one_by_one(orders: Sequence[Order]) -> Iterator[tuple[int, dict[str, Any]]]:
    work = PartsOfWork("task", len(orders), is_eager=True)
    for number, order in enumerate(orders):
        asked = RunConfig.from_dict(order["config"])
        is_done = asked.folder.resume and (Path(asked.folder.out) / "summary.json").exists()
        work.begin(asked.task, is_done=is_done)
        yield number, measured_task(order)


def _side_by_side(engine: Engine, orders: Sequence[Order]) -> Iterator[tuple[int, dict[str, Any]]]:
    say(f"{len(orders)} tasks side by side")
    for done, (number, row) in enumerate(engine(orders), 1):
        say(f"task {row['task']} is done, {done} of {len(orders)}")
        yield number, row


def _check_names(tasks: Sequence[str], probe: str) -> None:
    """Refuse tasks whose run folders would be the same, and a probe that ranks nothing."""
    if not tasks:
        raise ValueError("--tasks must name at least one task, such as rotation,simclr")
    if len(set(tasks)) != len(tasks):
        raise ValueError(f"--tasks names a task twice: {', '.join(tasks)}")
    short = [task_info(task).short for task in tasks]
    if len(set(short)) < len(short):
        twice = ", ".join(sorted(short))
        raise ValueError(f"--tasks names two tasks whose run folders would be the same: {twice}; rename a file")
    if probe != AUTO and not probe_info(probe).needs:
        raise ValueError(f"--probe {probe} measures no use of the features; choose another to rank by, such as linear")


def _runs_and_hints(
    config: RunConfig, tasks: Sequence[str], labelled: str | None
) -> tuple[RunConfig, list[tuple[RunConfig, TaskSpec]], dict[str, Any]]:
    """The settings, the run of each task, and hints on the labelled data; what fits these alone is of no run."""
    runs = _runs(config, tasks)
    if labelled is None:
        return config, runs, {}
    config, hints = for_both(config, labelled, runs[0][1].needs)
    said = {name: getattr(config.data, name) for name in HINTS}
    return config, [(run.replace(**said), spec) for run, spec in runs], hints


def _with_data(
    config: RunConfig, tasks: Sequence[str], if_possible: Collection[str]
) -> tuple[Sequence[str], list[dict[str, str]]]:
    """The tasks without those of `if_possible` that cannot learn from the data, and for each of these the reason."""
    reasons = {task: why for task in tasks if task in if_possible and (why := _lack(config, task))}
    if reasons:
        open_part(_without_hints(config), split="train", needs=frozenset())  # what is wrong for every task is said once
    if len(reasons) == len(tasks):
        raise ValueError(next(iter(reasons.values())))
    for task, why in reasons.items():
        say(f"task {task} is left out: {why}")
    left_out = [{"task": task, "why": why} for task, why in reasons.items()]
    return [task for task in tasks if task not in reasons], left_out


def _lack(config: RunConfig, task: str) -> str:
    """Why a task cannot learn from the data; empty where it can."""
    try:
        spec = spec_for(config.replace(task=task, task_settings={}, encoders={}))
        if shards_to_stream(config, spec) is None:
            open_part(_without_hints(config), split="train", needs=spec.needs)
    except ValueError as wrong:
        return f"{wrong}"
    return ""


def _without_hints(config: RunConfig) -> DataSettings:
    """The data without flags that may be for the labelled data alone."""
    usual = DataSettings(path=config.data.path)
    return dataclasses.replace(config.data, **{name: getattr(usual, name) for name in HINTS})


def _runs(config: RunConfig, tasks: Sequence[str]) -> list[tuple[RunConfig, TaskSpec]]:
    """The run of each task, with the task under the settings that it has."""
    known = {option.name for task in tasks for option in task_info(task).options}
    for name in config.task_settings:
        if name not in known:
            raise ValueError(
                f"--task.{name} is no setting of {', '.join(tasks)}; see 'selftaught pretrain --task TASK --help'"
            )
    named = {name for task in tasks for name in task_info(task).further}
    for name in config.network.encoders:
        if name not in named:
            raise ValueError(unknown_name(f"encoder of {', '.join(tasks)}", name, ["encoder", *sorted(named)]))
    runs = []
    for task in tasks:
        info = task_info(task)
        known = {option.name for option in info.options}
        own = {name: value for name, value in config.task_settings.items() if name in known}
        further = {name: value for name, value in config.network.encoders.items() if name in info.encoders}
        out = str(Path(config.folder.out) / info.short)
        run = config.replace(task=task, task_settings=own, encoders=further, out=out)
        try:
            spec = spec_for(run)
            runs.append((name_starts(run, spec), spec))
        except ValueError as wrong:  # of one setting for all tasks, such as --frames
            raise ValueError(f"{wrong}" if info.short in f"{wrong}" else f"task {info.short!r}: {wrong}") from None
    encoders = _encoders(config, [spec for _, spec in runs])
    smallest = min((spec for _, spec in runs), key=lambda spec: spec.batch_size)
    batch = with_batch(config, smallest).optim.batch  # as many samples a step for all
    return [
        (run.replace(encoder=encoder, batch_size=batch), spec)
        for encoder, (run, spec) in zip(encoders, runs, strict=True)
    ]


def _encoders(config: RunConfig, specs: Sequence[TaskSpec]) -> list[str]:
    """The architecture of each run: the one asked for, else what all tasks say, else the usual one of its kind.

    So tasks of one kind of encoder, images or clips, always train the same.
    """
    if config.network.encoder != "auto":
        given = given_weights(config.network.encoder)
        return [given.encoder if given else config.network.encoder] * len(specs)
    asked = [spec.encoders["encoder"] for spec in specs]
    if len({one.usual for one in asked}) == 1:
        return [asked[0].usual] * len(specs)
    found = [(USUAL_OF_TOKENS if one.tokens else USUAL)[one.kind] for one in asked]
    if len(set(found)) > 1:
        listed = "; ".join(
            f"{encoder} for {', '.join(spec.short for spec, one in zip(specs, found, strict=True) if one == encoder)}"
            for encoder in dict.fromkeys(found)
        )
        say(f"the tasks train different kinds of encoders: {listed}; each is measured beside its own random weights")
    return found


def _probe_for(config: RunConfig, runs: Sequence[tuple[RunConfig, TaskSpec]], reading: DataSettings | None) -> str:
    """The probe that ranks where none is named: the first that fits the labelled data and every kind of encoder."""
    if reading is None:
        return USUAL_PROBE
    asked = Asked(data=reading, size=config.network.size, kind="image", needs=frozenset({"label"}))
    specs = {spec.kept_spec.kind: spec for _, spec in runs}
    each = [dataclasses.replace(asked, kind=kind, clip=spec.clip or USUAL_CLIP) for kind, spec in specs.items()]
    found = [fitting_probes(one)[0] for one in each]
    return OF_VIDEOS[0] if OF_VIDEOS[0] in found else found[0]


def _stem(config: RunConfig, runs: Sequence[tuple[RunConfig, TaskSpec]]) -> Stem:
    """The one stem of all runs; says how long they will take where they have a budget."""
    if config.length.budget is not None:
        total = clock(len(runs) * parse_seconds(config.length.budget))
        say(f"{len(runs)} tasks of {config.length.budget} each: about {total}, and the evaluation of each")
    if any(run.network.started for run, _ in runs):
        return read_starts(*runs[0]).config.network.stem
    return stem_for_all(runs)


def _check_folder(out: Path, *, is_allowed: bool) -> None:
    """Refuse a folder that holds a comparison already, or files that selftaught did not write."""
    check_out_folder(out)
    found = others_in(out) if out.exists() else []  # before the mark is looked for, as another process may set it
    others = [] if is_own(out) else [name for name in found if not is_own(out / name)]
    if others or (out / "environment.json").exists():
        what = f"other files (such as {min(others)})" if others else "a run"
        raise ValueError(f"--out {out} holds {what}, which is no comparison; give a new or empty folder")
    if (out / "compare.json").exists() and not is_allowed:
        raise ValueError(f"--out {out} already holds a comparison; go on with --resume or replace it with --overwrite")


def _check(config: RunConfig, runs: Sequence[tuple[RunConfig, TaskSpec]]) -> None:
    """All that can be wrong with any task is said before the first one is trained."""
    for needs in {spec.needs for asked, spec in runs if shards_to_stream(asked, spec) is None}:
        open_part(config.data, split="train", needs=needs)
    for asked, spec in runs:
        check_asked(asked, spec)
        try_own_task_early(asked, spec)


def _check_ranking(
    config: RunConfig,
    spec: TaskSpec,
    reading: DataSettings | None,
    probe: str,
    settings: dict[str, Any] | None,
    fraction: float,
    supervised: bool,
) -> None:
    """What the tasks shall be ranked by is refused now where it cannot be, not after the first training."""
    found = check_measurement(probe, settings, config.seed, [fraction], supervised=supervised)
    if reading is None:
        if supervised:
            raise ValueError("--supervised learns from labels; give data with labels by --labelled")
        return
    kind = spec.kept_spec.kind
    check_kind(probe, found, config.network.encoder, kind)
    if supervised:
        check_supervised_kind(kind)
    clip = spec.clip or USUAL_CLIP
    asked = Asked(data=reading, size=config.network.size, kind=kind, clip=clip, needs=found.needs, inputs=found.inputs)
    found.data.check(asked)


def _given(config: RunConfig, given: Sequence[str], names: Sequence[str]) -> list[Subject]:
    """The given encoders, with a folder in that of the comparison for each."""
    if len(set(given)) < len(given):
        raise ValueError(f"--given names an encoder twice: {', '.join(given)}")
    found, taken = [], set(names)
    for text in given:
        folder = re.sub(r"[^A-Za-z0-9_.#-]+", "-", PurePath(text).name) or "given"
        while folder in taken:
            folder += "-given"
        taken.add(folder)
        size = None if Path(text).is_dir() else config.network.size
        out = Path(config.folder.out) / folder
        subject = open_subject(text, size=size, out=out, download=config.data.download)
        same = {"seed": config.seed} | ({} if subject.run else {"precision": config.machine.precision})
        found.append(dataclasses.replace(subject, **same))  # type: ignore[arg-type]
    return found


def _row_of_given(
    subject: Subject, config: RunConfig, reading: DataSettings | None, how: dict[str, Any]
) -> dict[str, Any]:
    """Measure one given encoder on the same samples; it has no pretext metric and took no steps here."""
    mark(Path(config.folder.out), "comparison")
    say(f"measuring {subject.name}")
    evaluation = None if reading is None else evaluate_encoder(subject, reading, **how)
    label_free = label_free_of(subject, config.data.path, download=config.data.download)
    record(subject.folder)
    figures = label_free["more"]["figures"] if label_free else {}
    name = re.sub(r"[^:]*/", "", subject.name.rstrip("/"))  # pages are shown to others, without local folders
    about = {"encoder": subject.encoder.name, "task": name, "run": subject.folder.name, "given": name}
    measured = {"probe": evaluation, "label_free": label_free, "clip": dict(subject.encoder.clip_seen), "rank": 0}
    unknown = dict.fromkeys(("pretext_value", "pretext_chance", "images_per_second", "steps"))
    known = {name: figures[name]["value"] if name in figures else None for name in LABEL_FREE}
    return about | measured | {"unit": "images", "metric": ""} | unknown | known


def _agreement(rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """How the metrics without labels rank the tasks beside the probe; None where fewer than two have both."""
    rows = [row for row in rows if "given" not in row]
    measured = {row["task"]: row["probe"] for row in rows if row["probe"]}
    described = {row["task"]: row["label_free"] for row in rows if row["label_free"]}
    return agreement(measured, described) if len(measured.keys() & described.keys()) > 1 else None


def _result(config: RunConfig, labelled: str | None, probe: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    ranked = sorted(rows, key=lambda row: -(row["probe"]["value"] if row["probe"] else row["rankme"] or 0.0))
    for place, row in enumerate(ranked, 1):
        row["rank"] = place
    ranked = with_standings(ranked, Path(config.folder.out))
    probes = [row["probe"] for row in rows if row["probe"]]
    supervised = [one["supervised"] for one in probes if one["supervised"]]
    length = config.length
    return {
        "data": config.data.path,
        "labelled": labelled,
        "encoder": ", ".join(dict.fromkeys(row["encoder"] for row in rows)),
        "size": config.network.size,
        "budget": length.budget or (f"{length.steps} steps" if length.steps else f"{length.epochs or 10:g} epochs"),
        "seed": config.seed,
        "ranked_by": f"{probe_info(probe).short} probe" if labelled else "effective rank (RankMe)",
        "rows": ranked,
        # Of several kinds of encoders the best, which are the hardest to beat; each row has its own.
        "random": max((one["random"] for one in probes), key=_value, default=None),
        "supervised": max(supervised, key=_value, default=None),
    }


def _value(score: dict[str, Any]) -> float:
    return -math.inf if score["value"] is None else float(score["value"])
