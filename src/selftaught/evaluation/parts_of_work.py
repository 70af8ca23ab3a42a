"""Work of several long parts, such as the tasks of a comparison: which one is under way, and how long all will take."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from selftaught.core.progress import clock, say

QUICK = 2.0
"""Seconds below which the parts so far were too quick to be named one by one."""


class PartsOfWork:
    """Says of each part that it begins, and from the second on how long all that are left will take.

    Args:
        noun: what a part is, such as "task".
        total: how many there are.
        is_eager: name the parts from the first on; otherwise only where those before took more than `QUICK` seconds.
        now: the clock.
    """

    def __init__(
        self, noun: str, total: int, *, is_eager: bool = False, now: Callable[[], float] | None = None
    ) -> None:
        self.noun = noun
        self.total = total
        self.is_eager = is_eager
        self._now = now or monotonic
        self._begin = self._now()
        self._begun = 0
        self._done = 0

    def begin(self, what: str, *, is_done: bool = False) -> None:
        """The next part begins; `is_done` where it turns out to be done already."""
        taken = self._now() - self._begin
        mean = taken / self._done if self._done else 0.0
        self._begun += 1
        if is_done:
            return
        if self.total > 1 and (self.is_eager or mean > QUICK):
            left = f"; about {clock(mean * (self.total - self._begun + 1))} left" if self._done else ""
            say(f"{self.noun} {self._begun} of {self.total}: {what}{left}")
        self._done += 1
