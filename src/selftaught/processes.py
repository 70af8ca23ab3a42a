"""Runs of several processes: what is refused before they are started, and what is put right after an error."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch.distributed as dist

from selftaught.config import RunConfig
from selftaught.prepare import leave_group, open_sources

_LAUNCHED = ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What Fabric leaves in the environment of a process that started others."""


@contextmanager
def group_left_after_error() -> Iterator[None]:
    """An error ends the group of processes that was begun within, so that the next run of the program begins anew."""
    before = {name: os.environ.get(name) for name in _LAUNCHED}
    was_there = dist.is_available() and dist.is_initialized()
    try:
        yield
    except BaseException:
        if not was_there:
            if dist.is_available():
                leave_group()
            for name, value in before.items():
                os.environ.pop(name, None) if value is None else os.environ.update({name: value})
        raise


def check_processes(config: RunConfig) -> None:
    """Refuse a run of fewer processes than torchrun started: each would be a run of its own in one folder."""
    started = os.environ.get("WORLD_SIZE", "1")
    asked = config.devices * config.num_nodes
    if "TORCHELASTIC_RUN_ID" in os.environ and started.isdigit() and int(started) != asked:
        what = f"--devices is {config.devices}" + (f" on {config.num_nodes} nodes" if config.num_nodes > 1 else "")
        nodes = max(1, int(started) // max(1, int(os.environ.get("LOCAL_WORLD_SIZE") or started)))
        give = f"--devices {int(started) // nodes}" + (f" --num-nodes {nodes}" if nodes > 1 else "")
        raise ValueError(f"torchrun started {started} processes, {what}; give {give}")


def check_data(config: RunConfig) -> None:
    """Open the data once before other processes are started, so that what is wrong with them is said by one alone."""
    if config.devices * config.num_nodes > 1:
        open_sources(config)
