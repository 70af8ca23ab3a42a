"""Runs a function in two processes, as the two of a distributed run, or in one of its own."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.process import BaseProcess
from typing import Any

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import start_processes

PRELOADED = ["pytest", "timm", "selftaught.training.train"]


def in_two_processes(work: Callable[..., None], *arguments: Any) -> None:
    """Call `work(rank, port, *arguments)` with ranks 0 and 1 and a free port; an exception in one is raised here.

    Both are forked from a server that has imported what they need, once for all tests of a process: an import takes
    seconds.
    """
    multiprocessing.set_forkserver_preload(PRELOADED)
    start_processes(work, (free_port(), *arguments), nprocs=2, start_method="forkserver")


def free_port() -> int:
    """Below those that a system gives to whoever asks for any, so that nobody gets it before the two have met."""
    for port in range(10_000 + os.getpid() % 20_000, 32_000):
        with socket.socket() as free, suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no free port below 32000")


def own_process(work: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Call `work(*arguments)` in a process forked from the same server; its environment is the server's."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=work, args=arguments, daemon=True)
    process.start()
    return process


def join_group(rank: int, port: int) -> None:
    """Make the calling process one of a gloo group of two, with one thread."""
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=2)
