"""Rendering processes, which work beside the training one and end with it."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

from selftaught.data.rendered.worker import Order, Rendered
from selftaught.data.sources.world.video import Scenes

Child = subprocess.Popen[bytes]


class Processes:
    """`count` processes that render the same scenes; they start with the first order."""

    def __init__(self, scenes: Scenes, count: int) -> None:
        self._scenes, self._count = pickle.dumps(scenes, protocol=pickle.HIGHEST_PROTOCOL), count
        self._free: SimpleQueue[Child] = SimpleQueue()
        self._children: list[Child] = []
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="selftaught-render")
        weakref.finalize(self, _end, self._children)

    def render(self, orders: Sequence[Order]) -> list[Rendered]:
        """What is ordered, in the same order; called by one thread at a time.

        Raises:
            ValueError: where a process cannot render or has ended.
        """
        if not self._children:
            self._start()
        return list(self._pool.map(self._one, orders))

    def _one(self, order: Order) -> Rendered:
        child = self._free.get()
        try:
            assert child.stdin is not None
            assert child.stdout is not None
            pickle.dump(order, child.stdin)
            child.stdin.flush()
            answer: Rendered | str = pickle.load(child.stdout)
        except (EOFError, OSError, pickle.UnpicklingError):
            raise ValueError(
                f"a process that renders scenes has ended (exit code {child.poll()}); its memory may have been too "
                "small: lower --workers or the side of the scenes"
            ) from None
        finally:
            self._free.put(child)
        if isinstance(answer, str):
            raise ValueError(f"scene {order.number} cannot be rendered: {answer}")
        return answer

    def _start(self) -> None:
        # One thread each: cores are shared out by processes. The paths are those that this process imports from.
        single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        environment = os.environ | single | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-c", "from selftaught.data.rendered.worker import main; main()"]
        for _ in range(self._count):
            child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
            self._children.append(child)
            assert child.stdin is not None
            child.stdin.write(self._scenes)
            child.stdin.flush()
            self._free.put(child)


def _end(children: Sequence[Child]) -> None:
    """A process ends when it is asked nothing more."""
    for child in children:
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    continue
        child.wait()
