"""Batches that threads prepare while the last one is computed with."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def read_ahead(make: Callable[[int], T], count: int, *, threads: int = 2, ahead: int = 3) -> Iterator[T]:
    """make(0), make(1), ..., make(count - 1) in order; up to `ahead` of them wait in memory."""
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[T]] = deque()
        try:
            for i in range(count):
                waiting.append(pool.submit(make, i))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
