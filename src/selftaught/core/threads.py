"""How many threads compute and how they wait, chosen by the command line before torch is loaded.

OpenMP reads its settings once, when torch loads it, and by default its threads spin at every barrier. Where another
process takes one of the cores, the spinning threads hold the core that the late one is waiting for, and a step can
take ten times as long. Threads that sleep instead share the machine. oneDNN has barriers of its own that no setting
stops from spinning, so a verb that computes also leaves alone the cores that others keep busy when it starts. The
command line does this by itself, a program by `selftaught.use_threads()`: a library that set environment variables
without being asked would change the program it is imported into.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of malloc.h
_STAT = Path("/proc/stat")
_QUOTAS = (Path("/sys/fs/cgroup/cpu.max"), Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"))


_state = {"is_prepared": False, "began": math.nan}


def prepare(*, is_computing: bool = False, is_program: bool = False) -> None:
    """Set the OpenMP variables the user has not set; of no use, and not done, once torch is loaded.

    `is_program` says that this process is the command and nothing else, so that its time counts from its start.
    """
    if is_program:
        _state["began"] = time.monotonic() - age()
    if "torch" not in sys.modules:
        cores = free_cores() if is_computing and "OMP_NUM_THREADS" not in os.environ else available_cores()
        os.environ.update(thread_settings(os.environ, cores=cores))
    _state["is_prepared"] = True
    keep_freed_memory()


def use_threads() -> None:
    """Let torch compute in this program as on the command line, several times faster on a machine that others use too.

    To be called before anything imports torch: threads then sleep while they wait, and are as many as there are cores
    that nobody else uses. What you have set yourself (OMP_NUM_THREADS, OMP_WAIT_POLICY) stays. Where torch has been
    imported, only the number of threads can still be set, and a line on stderr says so.
    """
    torch = sys.modules.get("torch")
    if torch is not None and not _state["is_prepared"]:
        if "OMP_NUM_THREADS" not in os.environ:
            torch.set_num_threads(free_cores())
        print(
            "selftaught.use_threads() came after the import of torch: the number of threads is set, but they go on "
            "spinning while they wait; call it before the first import of torch",
            file=sys.stderr,
        )
    prepare(is_computing=True)


def remind_of_threads() -> None:
    """A line on stderr, once, where a program computes on a busy machine with threads that spin."""
    if _state["is_prepared"] or not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}.isdisjoint(os.environ):
        return
    _state["is_prepared"] = True
    if os.environ.get("OMP_NUM_THREADS") != "1" and free_cores() < available_cores():
        print(
            "other programs keep this machine busy, where torch's waiting threads can make training several times "
            "slower; call selftaught.use_threads() before the first import of torch",
            file=sys.stderr,
        )


def began() -> float:
    """When the command began, on the clock of `time.monotonic`; now, where this process is more than the command."""
    return time.monotonic() if math.isnan(_state["began"]) else _state["began"]


def age() -> float:
    """Seconds since this process was started; 0 where the system does not say."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError, AttributeError):
        return 0.0


def free_cores() -> int:
    """Cores that this process may use and others do not, at least 1."""
    cores = available_cores()
    return cores if cores == 1 else max(1, min(cores, math.floor(min(idle_cores(), cores) + 0.4)))


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
    return max(1, math.ceil(min(usable_cores(), _quota())))


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


def usable_cores() -> int:
    """Cores this process may run on, which are fewer than the machine's under taskset and in containers."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def give_way() -> None:
    """Make the calling thread nicer, so that it takes only what computing threads leave."""
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
