"""Runs of several processes: what is refused before they start, how they meet, stop together and part again."""

from __future__ import annotations

import atexit
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from lightning_fabric import Fabric

from selftaught.core.config import RunConfig
from selftaught.core.distributed import of_world
from selftaught.core.errors import EXPLAINED, ProcessError, say_here
from selftaught.core.signals import Stop
from selftaught.training.processes.children import LAST_WORDS, Children
from selftaught.training.processes.start import check_nodes

_LAUNCHED = ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "OMP_NUM_THREADS")
"""What the environment says about the processes of a run; Fabric sets the last one for several of them."""
_TOLD = "selftaught/told"
"""Key of the processes' common store: that one of them says why the run ended."""


class Group:
    """The processes of one run: those that it starts, or those that torchrun or a cluster has started."""

    def __init__(self, config: RunConfig, begin: float, on_ready: Callable[[], None] | None) -> None:
        self.config = config
        self.begin = begin
        self._on_ready = on_ready
        self._threads = torch.get_num_threads()
        self._environment = {name: os.environ.get(name) for name in _LAUNCHED}
        self._was_there = dist.is_available() and dist.is_initialized()
        self._children: Children | None = None

    def launch(self, fabric: Fabric, check: Callable[[], None]) -> None:
        """Start the other processes, unless that is done, and meet them.

        `check` says what is wrong with the data, so that one process alone does.
        """
        environment = getattr(fabric.strategy, "cluster_environment", None)
        if self.config.machine.world > 1 and not self._was_there and environment is not None:
            if self._on_ready is not None:
                self._on_ready()
            elif not environment.creates_processes_externally:
                check_nodes(self.config.machine)
                check()
                self._start()
        fabric.launch()
        if not self._was_there and fabric.world_size > 1:
            # gloo's threads outlive the last step, and abort the process where they let go of a tensor of an
            # interpreter that is being torn down. Fabric sees to that for NCCL alone.
            atexit.register(leave_group)

    def _start(self) -> None:
        """Start the processes of this node; what is in the environment has Fabric start none."""
        config, given = self.config, os.environ
        os.environ.update(
            MASTER_ADDR=given.get("MASTER_ADDR", "127.0.0.1"),
            MASTER_PORT=given.get("MASTER_PORT") or str(_free_port()),
            NODE_RANK=given.get("NODE_RANK") or given.get("GROUP_RANK", "0"),
            LOCAL_RANK="0",
            WORLD_SIZE=str(config.machine.world),
        )
        order = {"config": config.to_dict(), "begin": self.begin, "threads": self._threads}
        self._children = Children(order, os.environ, config.machine.devices)
        self._children.wait_until_ready()

    def cause(self, error: BaseException) -> BaseException:
        """What ended the run: `error`, or what ended another process, of which it is the consequence."""
        is_cut = is_of_connection(error)
        if self._children is not None:
            own = is_cut or isinstance(error, KeyboardInterrupt)
            other = self._children.error(LAST_WORDS if is_cut else 0.0) if own else None
            return error if other is None else other
        if self._on_ready is None and dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
            is_told_here = _is_first_to_tell(LAST_WORDS if is_cut else 0.0)
            if is_cut:
                hint = "the same command with --resume goes on from the last checkpoint"
                error = ProcessError(f"another process of the run ended; {hint}", EXPLAINED)
            say_here(error, is_told_here)
        return error

    def end(self, *, is_good: bool) -> None:
        """Leave the others, end those that were started here, and leave the environment as it was."""
        torch.set_num_threads(self._threads)
        is_own = self._children is not None or self._on_ready is not None
        if not self._was_there and (is_own or not is_good) and dist.is_available():
            leave_group()
        if self._children is not None:
            self._children.end(wait=GOOD_END if is_good else 0.0)
        if self._children is not None or not is_good:
            for name, value in self._environment.items():
                os.environ.pop(name, None) if value is None else os.environ.update({name: value})


GOOD_END = 60.0
"""Seconds after the last step of a run in which the other processes must have come to their end."""


@contextmanager
def group_of(
    config: RunConfig, stop: Stop, begin: float, on_ready: Callable[[], None] | None = None
) -> Iterator[Group]:
    """The processes of a run, which end with it; an error within is that of the process that failed first.

    Args:
        config: the run.
        stop: what takes the signals.
        begin: when it began, on the clock of `time.monotonic`.
        on_ready: given in a process that another one started: called before it meets the others.
    """
    group = Group(config, begin, on_ready)
    try:
        with of_world(config.machine.world):
            yield group
    except BaseException as error:
        stop.wait_for_end()
        cause = group.cause(error)
        group.end(is_good=False)
        if cause is error:
            raise
        raise cause from cause.__cause__
    group.end(is_good=True)


class StopTogether:
    """Has all processes stop, and save, after the same step, whichever got the signal or waited for long.

    After each step each says what it was asked, and takes what all had said after the step before: that has arrived
    while this one was computed, so that nobody waits. On a group of its own on the host, as no device is waited for.
    """

    def __init__(self, world: int) -> None:
        group = dist.new_group(backend="gloo") if world > 1 else None
        self._group = group if isinstance(group, dist.ProcessGroup) else None
        self._asked = torch.zeros(2, dtype=torch.int64)
        self._work: dist.Work | None = None

    def after_step(self, stop: Stop, *, is_end: bool) -> None:
        """To be called by all processes after every step, before `stop` is looked at."""
        if self._group is None:
            stop.due, stop.is_late = stop.asked, stop.has_waited()
            return
        if self._work is not None:
            self._work.wait()
            asked, late = self._asked.tolist()
            stop.due, stop.is_late = asked or None, bool(late)
        if is_end:
            dist.destroy_process_group(self._group)
            return
        self._asked = torch.tensor([stop.asked or 0, int(stop.has_waited() and not stop.is_late)])
        self._work = dist.all_reduce(self._asked, dist.ReduceOp.MAX, group=self._group, async_op=True)

    def end_unless(self, stop: Stop, is_end: bool) -> None:
        """Raise where all are to stop and steps are left, once the first process has saved.

        torchrun sends the signal again as soon as one process ends, which would cut a save that is not done.
        """
        if self._group is not None and stop.due is not None and not is_end:
            if self._work is not None:
                self._work.wait()
            dist.all_reduce(torch.zeros(1), group=self._group)
        stop.end_unless(is_end)


def leave_group() -> None:
    """Leave the group of processes, where this one is in one."""
    if dist.is_initialized():
        dist.destroy_process_group()


def is_of_connection(error: BaseException) -> bool:
    """Whether it says no more than that another process is gone."""
    if isinstance(error, dist.DistError):
        return True
    signs = ("gloo/", "Connection closed by peer", "Connection reset by peer", "Broken pipe", "NCCL")
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in signs)


def _is_first_to_tell(wait: float) -> bool:
    """Whether no other process says why the run ends; one that only lost its connection waits for the others."""
    try:
        store = dist.distributed_c10d._get_default_store()
        until = time.monotonic() + wait
        while time.monotonic() < until and not store.check([_TOLD]):
            time.sleep(0.05)
        return int(store.add(_TOLD, 1)) == 1
    except RuntimeError:  # the store has gone with the process that kept it
        return dist.get_rank() == 0


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
