"""What runs the tasks of a comparison side by side: processes of this machine, Ray, or SLURM through submitit."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import torch

from selftaught.core.errors import EXPLAINED, ProcessError
from selftaught.core.progress import say
from selftaught.core.threads import available_cores
from selftaught.evaluation.side_by_side.one_task import Order, attempt, row_of
from selftaught.training.processes.children import Child

Engine = Callable[[Sequence[Order]], Iterator[tuple[int, dict[str, Any]]]]
"""Orders -> number and row of each, as they are done; an error of one ends the others."""
ADVICE = "the same command with --resume goes on from the last checkpoint, fewer tasks side by side need less memory"
MINUTES = 24 * 60
"""That a job of SLURM may take unless another time is asked for; submitit's own default is five minutes."""
POLL = 0.5
"""Seconds between two looks at jobs of a cluster."""


def engine_of(text: str, out: Path, *, devices: int = 1) -> Engine:
    """The engine of a text: local:N, ray, ray:ADDRESS, slurm or slurm:NAME=VALUE,... with settings of submitit.

    Args:
        text: what was asked for.
        out: folder of the comparison, where jobs of SLURM leave their output.
        devices: processes of each task.

    Raises:
        ValueError: where it is none, or cannot be used here.
    """
    kind, _, rest = text.partition(":")
    if kind == "local":
        if not rest.isdigit() or int(rest) < 1:
            raise ValueError(f"--parallel {text}: give the number of tasks side by side, such as local:2")
        return lambda orders: _local(orders, int(rest), devices)
    if kind == "ray":
        _needed("ray", text)
        return lambda orders: _ray(orders, rest or None, devices)
    if kind == "slurm":
        _needed("submitit", text)
        if shutil.which("sbatch") is None:
            raise ValueError(f"--parallel {text} needs the commands of SLURM, and there is no sbatch here; use local:N")
        settings = _settings(text, rest)
        return lambda orders: submitted(orders, out / "slurm", settings, cluster="slurm")
    raise ValueError(f"--parallel must be local:N, ray or slurm, got {text!r}")


def _needed(package: str, text: str) -> None:
    if importlib.util.find_spec(package) is None:
        extra = {"submitit": "slurm"}.get(package, package)
        raise ValueError(f"--parallel {text} needs the package {package}; pip install 'selftaught[{extra}]'")


def _settings(text: str, rest: str) -> dict[str, Any]:
    """NAME=VALUE,... as submitit's parameters; whole numbers are numbers."""
    found: dict[str, Any] = {}
    for pair in filter(None, rest.split(",")):
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise ValueError(
                f"--parallel {text}: {pair!r} is no NAME=VALUE; give such as slurm:timeout_min=600,gpus_per_node=1"
            )
        found[name] = int(value) if value.isdigit() else value
    return found


def _local(orders: Sequence[Order], count: int, devices: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Processes of this machine, `count` at once, with a share of the cores, and of the GPUs, for each."""
    slots: SimpleQueue[int] = SimpleQueue()
    for slot in range(count):
        slots.put(slot)
    running: set[Child] = set()
    is_over, starting = threading.Event(), threading.Lock()

    def run(order: Order) -> dict[str, Any]:
        slot = slots.get()
        try:
            with starting:  # one that starts while the others are ended would be missed, and waited for
                if is_over.is_set():
                    return {}
                child = _child(order, slot, count, devices)
                running.add(child)
            child.listen()
            if child.result is None:
                raise child.error()
            child.end()
            return child.result
        finally:
            slots.put(slot)

    with ThreadPoolExecutor(count) as pool:
        futures = {pool.submit(run, order): number for number, order in enumerate(orders)}
        try:
            for future in as_completed(futures):
                yield futures[future], row_of(future.result())
        finally:
            with starting:
                is_over.set()
            for future in futures:
                future.cancel()
            for child in running:
                child.end()


def _child(order: Order, slot: int, count: int, devices: int) -> Child:
    """A process for one task; what it says on stderr is passed on line by line."""
    paths = [path or os.getcwd() for path in sys.path]  # noqa: PTH109 - text for the environment
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    if gpus := _gpus(slot, devices):
        environment["CUDA_VISIBLE_DEVICES"] = gpus
    sent = {"attempt": order, "threads": max(1, available_cores() // count)}
    child = Child(sent, environment, f"the process of task {order['task']!r}", ADVICE, is_heard=True)
    threading.Thread(target=_pass_on, args=(child,), daemon=True).start()
    return child


def _pass_on(child: Child) -> None:
    assert child.process.stderr is not None
    with child.process.stderr as lines:
        for line in lines:
            say(line.rstrip("\n"))


def _gpus(slot: int, devices: int) -> str:
    """The GPUs of a task by their numbers, "" where there are none or too few to share them out."""
    count = torch.cuda.device_count()
    known = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if count else []
    known = [name for name in known if name] or [str(number) for number in range(count)]
    own = known[slot * devices : (slot + 1) * devices]
    return ",".join(own) if len(own) == devices else ""


def _ray(orders: Sequence[Order], address: str | None, devices: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Tasks of a Ray cluster: the one at the address, that of RAY_ADDRESS, or one that is started on this machine."""
    ray: Any = importlib.import_module("ray")  # its types know no options in a dict
    was_there = ray.is_initialized()
    if not was_there:
        ray.init(address=address, include_dashboard=False, log_to_driver=True)
    needs = {"num_cpus": devices, "num_gpus": devices if ray.cluster_resources().get("GPU", 0) else 0}
    remote = ray.remote(max_retries=0, **needs)(attempt)
    waiting = {remote.remote(order): number for number, order in enumerate(orders)}
    try:
        while waiting:
            (done,), _ = ray.wait(list(waiting), num_returns=1)
            yield waiting.pop(done), row_of(ray.get(done))
    finally:
        for left in waiting:
            ray.cancel(left, force=True)
        if not was_there:
            ray.shutdown()


def submitted(
    orders: Sequence[Order], folder: Path, settings: Mapping[str, Any], *, cluster: str
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Jobs of submitit on a `cluster`: "slurm", or "local" and "debug" for processes of this machine.

    Raises:
        ValueError: for settings that submitit does not know.
    """
    import submitit

    executor = submitit.AutoExecutor(folder=folder, cluster=cluster)
    try:
        executor.update_parameters(**{"name": "selftaught-compare", "timeout_min": MINUTES, **settings})
    except (NameError, ValueError, TypeError) as wrong:
        raise ValueError(f"--parallel slurm: {wrong}") from None
    jobs = executor.map_array(attempt, list(orders))
    say(f"{len(jobs)} jobs are submitted; their output is in {folder}")
    waiting = dict(enumerate(jobs))
    try:
        while waiting:
            done = [number for number, job in waiting.items() if job.done()]
            for number in done:
                yield number, row_of(_result(waiting.pop(number), folder))
            if not done:
                time.sleep(POLL)
    finally:
        for job in waiting.values():
            job.cancel(check=False)


def _result(job: Any, folder: Path) -> dict[str, Any]:
    """What the attempt of a job gave.

    Raises:
        ProcessError: for a job that was ended from outside.
    """
    import submitit

    try:
        found: dict[str, Any] = job.result()
    except submitit.core.utils.UncompletedJobError as ended:
        said = " ".join(str(ended).split())[:300]
        advice = "the same command with --resume goes on; slurm:timeout_min=MINUTES gives jobs more time"
        raise ProcessError(f"job {job.job_id} ended early ({said}); see {folder}; {advice}", EXPLAINED) from None
    return found
