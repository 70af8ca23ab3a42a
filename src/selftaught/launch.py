"""How many threads compute and how they wait, chosen by the command line before torch is loaded.

OpenMP reads its settings once, when torch loads it, and by default its threads spin at every barrier. Where another
process takes one of the cores, the spinning threads hold the core that the late one is waiting for, and a step can
take ten times as long. Threads that sleep instead share the machine. oneDNN has barriers of its own that no setting
stops from spinning, so a verb that computes also leaves alone the cores that others keep busy when it starts. Only
the command line does this: a library that set environment variables would change the program it is imported into.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of malloc.h
_STAT = Path("/proc/stat")
_QUOTAS = (Path("/sys/fs/cgroup/cpu.max"), Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"))


def prepare(*, is_computing: bool = False) -> None:
    """Set the OpenMP variables the user has not set; of no use, and not done, once torch is loaded."""
    if "torch" not in sys.modules:
        cores = available_cores()
        if is_computing and cores > 1 and "OMP_NUM_THREADS" not in os.environ:
            cores = max(1, min(cores, math.floor(idle_cores() + 0.4)))
        os.environ.update(thread_settings(os.environ, cores=cores))
    keep_freed_memory()


def idle_cores(seconds: float = 0.15, looks: int = 4) -> float:
    """How many of the machine's cores nobody used; infinite where the system does not say.

    The largest of a few short looks, so that a program that is just ending is not taken for a neighbour.
    """
    cores, idle = os.cpu_count() or 1, 0.0
    try:
        for _ in range(looks):
            before = _idle_and_all()
            time.sleep(seconds)
            after = _idle_and_all()
            idle = max(idle, cores * (after[0] - before[0]) / max(1, after[1] - before[1]))
            if idle > cores - 0.4:
                break
    except (OSError, ValueError, IndexError):
        return math.inf
    return idle


def _idle_and_all() -> tuple[int, int]:
    """Ticks the machine was idle or waited for a disk, and all ticks, over all cores."""
    ticks = [int(word) for word in _STAT.read_text().split("\n", 1)[0].split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)


def keep_freed_memory() -> None:
    """Have glibc keep freed memory for the next tensor.

    By default every large block goes back to the kernel when it is freed, and the next one is cleared and mapped
    page by page; a training step frees and takes the same gigabyte over and over. Elsewhere than on glibc, and where
    the user has set MALLOC_ variables, nothing is changed.
    """
    if not sys.platform.startswith("linux") or any(name.startswith("MALLOC_") for name in os.environ):
        return
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def thread_settings(environment: Mapping[str, str], *, cores: int) -> dict[str, str]:
    """What to add to the environment: sleeping threads, as many as there are cores."""
    wanted = {"OMP_NUM_THREADS": str(cores)}
    if "OMP_WAIT_POLICY" not in environment and "GOMP_SPINCOUNT" not in environment:
        wanted |= {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
    return {name: value for name, value in wanted.items() if name not in environment}


def available_cores() -> int:
    """Cores this process may use: its CPU affinity and its container's quota, not what the machine has."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(affinity, _quota())))


def _quota() -> float:
    """Cores a container may use, by cgroup version 2 or 1; infinite where nothing says so."""
    for path in _QUOTAS:
        try:
            text = path.read_text().split()
            period = text[1] if len(text) > 1 else path.with_name("cpu.cfs_period_us").read_text()
            if text[0] not in {"max", "-1"}:
                return float(text[0]) / float(period)
        except (OSError, ValueError, IndexError):
            continue
    return math.inf
