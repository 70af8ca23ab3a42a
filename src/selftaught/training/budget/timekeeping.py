"""What the parts of a run cost in time, how many steps fit into a budget by that, and how a run is held to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import monotonic

from selftaught.training.budget.schedule import HELD_OUT_SAMPLES, Schedule, looks_between

LOOK_SHARE = 0.05
"""Part of the time left that one look at held-out data may take; where it would take more, it looks at fewer."""
LOOKS_SHARE = 0.1
"""Part of the time left that all looks but the last and their checkpoints may take."""
FEWEST_LOOKED_AT = 64
EARLY, LATE = 0.1, 0.02
"""Parts of a budget by which a run may end before or after it without being given another length."""
CLOSING = 0.5
"""Seconds from the last file to the end of the program."""


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Seconds that the parts of a run take.

    Attributes:
        step: one step, with the reading of its batch.
        row: one held-out sample in a look.
        save: one checkpoint.
        refresh: making the pseudo-labels of all samples, once every `between` steps; 0 where there is nothing to do.
    """

    step: float
    row: float
    save: float = 0.0
    refresh: float = 0.0
    between: int = 0

    def stop(self, samples: int) -> float:
        """A look on the way, which may write both checkpoints."""
        return self.look(samples) + 2 * self.save

    def look(self, samples: int) -> float:
        """A look at so many held-out samples."""
        return 0.1 + samples * self.row

    def ending(self, samples: int) -> float:
        """The last look and checkpoints, and the images."""
        return self.stop(samples) + 0.5 + self.look(samples) / 2 + CLOSING

    def refreshes(self, done: int, steps: int) -> int:
        """Number of updates of the pseudo-labels from step `done` on, including one at `done`."""
        return -(-steps // self.between) - -(-done // self.between) if self.between else 0

    def left(self, done: int, schedule: Schedule) -> float:
        """Seconds from step `done` to the end of the program."""
        steps, every = schedule.steps, schedule.look_every
        looks = max(0, (steps - 1) // every - done // every)
        return (
            (steps - done) * self.step
            + looks * self.stop(schedule.look_samples)
            + self.refreshes(done, steps) * self.refresh
            + self.ending(schedule.look_samples)
        )


def longest(costs: Costs, done: int, schedule: Schedule, seconds: float) -> int:
    """The most steps, at least `done` and at least 1, with which a run ends within so many seconds."""

    def fits(steps: int) -> bool:
        return costs.left(done, replace(schedule, parts=((0, steps),))) <= seconds

    low = max(1, done)
    high = low + 1
    while fits(high) and high < 2**40:
        low, high = high, low + 2 * (high - low)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def plan(
    costs: Costs, seconds: float, *, per_epoch: float, evaluate_every: float, held_out: int, budget: str
) -> Schedule:
    """The schedule that fits into `seconds`; of one step where nothing fits."""
    samples = int(LOOK_SHARE * max(0.0, seconds) / costs.row)
    samples = min(max(samples, FEWEST_LOOKED_AT), HELD_OUT_SAMPLES, held_out)
    schedule = Schedule(parts=((0, 1),), look_every=2**40, look_samples=samples, budget=budget)
    steps = longest(costs, 0, schedule, seconds)
    looks = int(LOOKS_SHARE * max(0.0, seconds) / costs.stop(samples))
    every = max(looks_between(steps, per_epoch, evaluate_every), -(-steps // (looks + 1)))
    schedule = replace(schedule, look_every=every)
    steps = longest(costs, 0, schedule, seconds)
    return replace(schedule, parts=((0, steps),), look_every=min(every, steps))


class Timekeeper:
    """Holds a run to its budget: measures what its parts take and changes its length a few times on the way.

    Args:
        costs: as they were before the first step.
        ends: when the program is to be over, on the clock of `now`; None for a run that has a number of steps.
        seconds: the whole budget.
        now: the clock.
    """

    def __init__(
        self,
        costs: Costs | None = None,
        *,
        ends: float | None = None,
        seconds: float = 0.0,
        now: Callable[[], float] | None = None,
    ) -> None:
        self.costs = costs
        self.ends = ends
        self.seconds = seconds
        self._now = now or monotonic
        self._other = 0.0
        self._mark: tuple[int, float] | None = None
        self._is_measured = False
        self._check = 0

    @contextmanager
    def noted(self, part: str, schedule: Schedule) -> Iterator[None]:
        """Measure what is done within: a "look", "save" or "refresh", none of which is a step."""
        begin = self._now()
        yield
        taken = self._now() - begin
        self._other += taken
        if self.costs is None:
            return
        if part == "look":
            row = max(0.0, taken - 0.1) / max(1, schedule.look_samples)
            self.costs = replace(self.costs, row=row)
        elif part == "save":
            self.costs = replace(self.costs, save=taken)
        else:
            self.costs = replace(self.costs, refresh=taken)

    def is_due(self, done: int, schedule: Schedule) -> bool:
        """Whether the length is looked at after `done` steps; the same in all processes."""
        if self.costs is None or self.ends is None or done >= schedule.steps:
            return False
        if self._mark is None:  # the first step warms up and says nothing of the others
            self._start(done, schedule)
            return False
        return done >= self._check

    def _start(self, done: int, schedule: Schedule) -> None:
        self._mark, self._other = (done, self._now()), 0.0
        left = (schedule.steps - done) // 5
        self._check = done + max(1, left if self._is_measured else min(10, left))

    def steps(self, done: int, schedule: Schedule) -> int:
        """The length by what the last steps took; that of the schedule where it will do."""
        assert self.costs is not None
        assert self.ends is not None
        assert self._mark is not None
        now = self._now()
        taken = max(1e-6, now - self._mark[1] - self._other) / max(1, done - self._mark[0])
        self.costs = replace(self.costs, step=taken)
        over = self.costs.left(done, schedule) - (self.ends - now)
        if -EARLY * self.seconds <= over <= LATE * self.seconds:
            return schedule.steps
        steps = longest(self.costs, done, schedule, self.ends - now)
        # A refresh is made for the steps until the next one: with more steps than were known there would be too few.
        return min(steps, schedule.steps) if self.costs.between else steps

    def go_on(self, done: int, schedule: Schedule) -> None:
        """Set when the length is looked at next, after it was at `done`."""
        self._is_measured = True
        self._start(done, schedule)
