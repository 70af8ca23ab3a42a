"""The run folder: everything to repeat, resume and report a run, written so that a kill at any moment harms nothing."""

from __future__ import annotations

import csv
import datetime
import importlib.metadata
import json
import math
import platform
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from selftaught.core.config import RunConfig, run_settings
from selftaught.core.files import check_out_folder, read_object
from selftaught.core.names import printable, text_cell
from selftaught.core.own_folder import (
    LIST,
    Locked,
    is_own,
    mark,
    others_in,
    remove_drafts,
    remove_own,
    write_json,
    write_rows,
)
from selftaught.core.plain import same_place
from selftaught.core.progress import say_once
from selftaught.core.threads import usable_cores

_PACKAGES = ("selftaught", "torch", "torchvision", "timm", "lightning-fabric", "numpy", "av", "simplejpeg")
_WHEN = ("log_every", "checkpoint_every", "evaluate_every")
"""What a resumed run may do at other times: nothing that is learnt depends on it."""
_WARMUP = 0.05
"""What earlier versions wrote of a warm-up that nobody had asked for."""
_ENCODER = "resnet18"
"""What earlier versions wrote of an encoder that nobody had asked for."""
_DEFAULTS: dict[str, Any] = {"encoders": {}, "started": {}}
_DEFAULTS |= {setting.name: None for setting in run_settings() if setting.field.default is None}
"""What was not asked for in runs of earlier versions, which did not know some of these."""
_SEEN_AFTER = 60.0
"""Seconds in which a folder that one node made must be seen on the others; NFS remembers for up to 60 that it was not
there."""
_MAY_DIFFER = {
    "out",
    "resume",
    "overwrite",
    "workers",
    "cache_limit",
    "download",
    "logger",
    "tensorboard",
    "data",
    "changed_data",
    *_WHEN,
}


class OtherRun(ValueError):  # noqa: N818 - reads as what is the case
    """The run to be resumed began with other settings or data."""


class RunFolder:
    """One run on disk; see docs/concepts.md for its files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.last = path / "checkpoints" / "last.safetensors"
        self.best = path / "checkpoints" / "best.safetensors"
        self._lock: Locked | None = None

    @property
    def is_begun(self) -> bool:
        """Whether there is something to lose: a checkpoint or an end."""
        return self.last.exists() or self.best.exists() or (self.path / "summary.json").exists()

    def check(self, asked: RunConfig) -> None:
        """Refuse a folder that the run cannot be written to, before anything else is done."""
        environment = self.path / "environment.json"
        if asked.folder.resume and environment.exists():
            self._check_same(read_environment(self.path)["asked"], asked)
            return
        check_out_folder(self.path)
        if not self.path.exists():
            return
        others = others_in(self.path)  # before the mark is looked for, as another process may set it meanwhile
        is_run = is_own(self.path) and not (self.path / "compare.json").exists()
        if not is_run and others:
            raise ValueError(
                f"--out {self.path} holds other files, which no run of selftaught wrote (such as "
                f"{others[0]}); give a new or empty folder"
            )
        if is_run and self.is_begun and not asked.folder.overwrite:
            raise ValueError(
                f"--out {self.path} already holds a run; go on with --resume or replace it with --overwrite"
            )

    def goes_on(self, asked: RunConfig) -> bool:
        """Whether the run goes on from a checkpoint in the folder."""
        wanted = (self.last, self.path / "environment.json", self.path / "config.json")
        return asked.folder.resume and all(path.exists() for path in wanted)

    def prepare(self, asked: RunConfig, content: str) -> bool:
        """Make the folder of a run that was asked for; True where a checkpoint waits to be resumed."""
        self.check(asked)
        environment = self.path / "environment.json"
        mark(self.path, "run")
        self._lock = self._lock or Locked(self.path)
        self.check(asked)  # another process may have ended since
        if asked.folder.resume and environment.exists():
            self._check_data(asked, content)
            remove_drafts(self.path)
            if self.last.exists() and (self.path / "config.json").exists():
                return True
            say_once(f"{self.path} has no checkpoint yet: the run begins at its first step")
            return False
        remove_own(self.path, spare=Path(asked.data.path).expanduser())
        self.last.parent.mkdir(parents=True, exist_ok=True)
        write_json(environment, describe_environment(asked) | {"content": content})
        return False

    def check_shared(self, asked: RunConfig, *, node: int, is_same_data: bool) -> None:
        """In a process that is not the first: refuse data of its node that differ, or a run folder it cannot see."""
        if not is_same_data:
            raise ValueError(
                f"{asked.data.path} holds other samples, names or labels on node {node} than on node 0; copy the same "
                "data to all nodes, or give a folder that they share"
            )
        until = time.monotonic() + _SEEN_AFTER
        while not (self.path / "environment.json").exists():
            if time.monotonic() > until:
                raise ValueError(
                    f"--out {self.path} of node 0 cannot be seen on node {node}; give a folder that all nodes share"
                )
            time.sleep(0.1)

    def _check_data(self, asked: RunConfig, content: str) -> None:
        """The data must be unchanged, wherever they are now; runs of older versions compare the path only."""
        environment = read_environment(self.path)
        began, known = environment["asked"]["data"], environment.get("content")
        if known == content if known else same_place(began, asked.data.path):
            return
        if not asked.folder.changed_data:
            what = "other samples, names or labels than" if known else "another path than"
            raise OtherRun(
                f"--resume: {asked.data.path} holds {what} the data the run in {self.path} began with ({began}); "
                "bring those back, or go on with the others by --changed-data"
            )
        asked_then = environment["asked"] | {"data": asked.data.path}
        write_json(self.path / "environment.json", environment | {"content": content, "asked": asked_then})

    def config_for(self, asked: RunConfig) -> RunConfig:
        """The settings the run goes on with."""
        config = RunConfig.load(self.path / "config.json")
        return config.replace(**{name: value for name, value in asked.to_dict().items() if name in ("data", *_WHEN)})

    def release(self) -> None:
        """Let other processes write to the folder."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def use_same_threads(self) -> None:
        """Compute with the threads the run began with: sums over another number of threads round differently."""
        torch.set_num_threads(read_environment(self.path)["machine"]["threads"])

    def _check_same(self, before: dict[str, Any], asked: RunConfig) -> None:
        now = json.loads(json.dumps(asked.to_dict()))  # as it was written: tuples are lists
        before = _DEFAULTS | before
        if asked.optim.warmup is None and before["warmup"] == _WARMUP:
            before["warmup"] = None
        if now["encoder"] == "auto" and before["encoder"] == _ENCODER:
            before["encoder"] = "auto"
        # Weights that the encoder started from are in the checkpoint: they need not be named again.
        unsaid = {k for k in ("weights", "started", "encoder_lr") if not now[k] and not now["started"]}
        changed = [k for k in now if k not in _MAY_DIFFER | unsaid and k in before and before[k] != now[k]]
        if asked.length.budget is not None and before.get("evaluate_every") != asked.folder.evaluate_every:
            changed.append("evaluate_every")  # the time that looks take was planned with the rest
        if changed and set(changed) <= {"epochs", "steps", "budget"}:
            self._check_length(before, now, changed)
            return
        if changed:
            listed = ", ".join(f"{k} was {before[k]!r}, now {now[k]!r}" for k in changed)
            raise OtherRun(f"--resume must be given the settings the run in {self.path} began with: {listed}")

    def _check_length(self, before: dict[str, Any], now: dict[str, Any], changed: list[str]) -> None:
        """A longer run continues, as far as is known before the data are open; a time budget stays."""
        then, asked_now = (", ".join(f"--{k} {c[k]}" for k in changed if c[k] is not None) for c in (before, now))
        is_given = now["epochs"] is not None or now["steps"] is not None
        if is_given and "budget" not in changed and not any((before[k] or 0) > (now[k] or math.inf) for k in changed):
            return
        if before["budget"] is not None:
            raise OtherRun(
                f"--resume cannot give the run in {self.path} another length ({then}, now "
                f"{asked_now or 'the default'}), as its steps follow from its --budget; repeat that, or train on from "
                f"its weights in another --out by --weights {self.path}"
            )
        raise OtherRun(
            f"--resume goes on with the length the run in {self.path} began with, or a larger one in --steps or "
            f"--epochs ({then or 'the default'}, now {asked_now or 'the default'}); give that, or start another run "
            "in another --out"
        )

    def keep_until(self, step: int) -> None:
        """Drop the rows that were logged after `step`, the one resumed from."""
        for name in ("metrics.csv", "heldout.csv", "speed.csv", "refresh.csv"):
            path = self.path / name
            if not path.exists():
                continue
            rows = list(csv.DictReader(path.read_text().splitlines()))
            kept = [
                r for r in rows if (r.get("step") or "").isdigit() and int(r["step"]) <= step and None not in r.values()
            ]
            write_rows(path, list(rows[0]) if rows else [], kept)

    def append(self, name: str, row: dict[str, float | int]) -> None:
        """Add one row to a CSV file; a new name becomes a new column, and what a row does not have stays empty."""
        path = self.path / name
        columns = list(row)
        if path.exists() and path.stat().st_size:
            with path.open(newline="") as file:
                known = next(csv.reader(file))
            columns = list(dict.fromkeys([*known, *row]))
            if len(columns) > len(known):
                write_rows(path, columns, list(csv.DictReader(path.read_text().splitlines())))
        else:
            write_rows(path, columns, [])
        with path.open("a", newline="") as file:
            values = [row.get(column, "") for column in columns]
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([value if isinstance(value, int | str) else repr(float(value)) for value in values])

    def write_skipped(self, skipped: Iterable[Sequence[str]]) -> None:
        """Write skipped.csv: a (path, reason) per file or sample that could not be used."""
        rows = [
            {"path": text_cell(printable(path)), "reason": text_cell(printable(reason))} for path, reason in skipped
        ]
        write_rows(self.path / "skipped.csv", ["path", "reason"], rows)


def describe_environment(asked: RunConfig) -> dict[str, Any]:
    """Command, versions, machine and time of a run."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    machine = {
        "system": platform.platform(),
        "cpu": _cpu_name(),
        "cores": usable_cores(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }
    return {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "versions": versions,
        "machine": machine,
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seed": asked.seed,
        "asked": asked.to_dict(),
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def read_environment(folder: Path) -> dict[str, Any]:
    """What `describe_environment` wrote to a run folder."""
    path = folder / "environment.json"
    found = read_object(path)
    asked, machine = found.get("asked"), found.get("machine")
    if not isinstance(asked, dict) or "data" not in asked or not isinstance(machine, dict) or "threads" not in machine:
        raise ValueError(f"{path} is damaged: it does not hold what the run was asked for; give another --out")
    return found


def check_demo(out: Path) -> None:
    """Only a demo is replaced, as nobody is asked."""
    check_out_folder(out)
    if not out.exists() or not any(out.iterdir()):
        return
    environment = out / "environment.json"
    held = read_environment(out)["asked"]["data"] if is_own(out) and environment.exists() else None
    if held is None and set(out.iterdir()) != {out / LIST}:
        raise ValueError(f"--out {out} holds other files, and no demo; give a new or empty folder")
    if held not in (None, "demo"):
        raise ValueError(f"--out {out} holds a run on {held}, and no demo; give a new or empty folder")
