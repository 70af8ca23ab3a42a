"""Progress for people: a bar on a terminal, plain lines elsewhere, nothing on stdout."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

_SAID: set[str] = set()
_MOVING: list[Console] = []
"""Consoles that show something that moves: a line that another one wrote would break it."""
_BAR = (8, 40)
"""Fewest and most characters of a bar; below the first it is left out."""


def say_once(line: str, *, is_shown: bool = True) -> None:
    """A line on stderr, the first time this process says it: each split of the data has the same notes."""
    if is_shown and line not in _SAID:
        _SAID.add(line)
        say(line)


def say(line: str, *, is_shown: bool = True) -> None:
    """A line on stderr."""
    if is_shown:
        console = _MOVING[-1] if _MOVING else Console(file=sys.stderr)
        console.print(line, highlight=False, soft_wrap=True, markup=False)


@contextmanager
def working(what: str, *, is_shown: bool = True) -> Iterator[None]:
    """Say what is being done within: a line that goes again on a terminal, one that stays elsewhere."""
    console = Console(file=sys.stderr)
    if not is_shown:
        yield
    elif console.is_terminal:
        with console.status(Text(f"{what} ...")):
            _MOVING.append(console)
            try:
                yield
            finally:
                _MOVING.remove(console)
    else:
        say(f"{what} ...")
        yield


class StepProgress:
    """Steps of a run with metrics, speed and time left, on stderr.

    Nothing is shown before `start` or the first `update`, so that work that turns out to be done already leaves no
    bar behind. Plain lines come no more often than `seconds`, the first of them after the first step.
    """

    def __init__(
        self,
        title: str,
        total: int,
        *,
        start: int = 0,
        is_shown: bool = True,
        seconds: float = 10.0,
        console: Console | None = None,
    ) -> None:
        self.title = title
        self.total = self._said = total
        self.seconds = seconds
        self.is_shown = is_shown
        self._console = console or Console(file=sys.stderr)
        self._first = self._done = start
        self._begin = time.monotonic()
        self._printed: float | None = None
        self._figures: Mapping[str, float] = {}
        self._doing = ""
        self._bar: Live | None = None

    def __enter__(self) -> StepProgress:
        self._begin = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._doing = ""
        if self._bar:
            self._bar.stop()
            _MOVING.remove(self._console)

    def start(self, doing: str = "") -> None:
        """Show the bar at once, with what is being done before the first step."""
        self._doing = doing
        if self.is_shown and self._console.is_terminal and self._bar is None:
            self._bar = Live(get_renderable=self._row, console=self._console, refresh_per_second=4)
            self._bar.start(refresh=True)
            _MOVING.append(self._console)

    def doing(self, what: str) -> None:
        """What is done between two steps; shown in place of the title until the next `update`."""
        self._doing = what

    def update(self, done: int, **figures: float) -> None:
        """`done` steps are over; metrics are shown by name, the last ones if none are given."""
        if not self.is_shown:
            return
        self._done, self._doing = done, ""
        self._figures = figures or self._figures
        self.start()
        now = time.monotonic()
        is_due = self._printed is None or now - self._printed >= self.seconds or done >= self.total
        if not self._bar and is_due:
            self._printed = now
            text = " ".join((f"{self.title} {done}/{self.total}", *_texts(self._figures), self._left()))
            self.say(text)

    def lengthen(self, total: int) -> None:
        """Another number of steps in all."""
        if abs(total - self._said) > 0.25 * self._said:
            self.say(f"{total:,} steps instead of {self._said:,} fit the time, by the speed of the last ones")
            self._said = total
        self.total = total

    def say(self, line: str) -> None:
        """A line of its own."""
        if self.is_shown:
            self._console.print(line, highlight=False, soft_wrap=True, markup=False)

    def _left(self) -> str:
        """Time left at the mean pace so far; the time taken before the first step is over."""
        taken = time.monotonic() - self._begin
        if self._done <= self._first:
            return f"{clock(taken)} so far"
        return f"{clock(taken / (self._done - self._first) * max(0, self.total - self._done))} left"

    def _row(self) -> Text:
        title, width = self._doing or self.title, self._console.width
        return Text(fit(title, self._done, self.total, _texts(self._figures), self._left(), width), no_wrap=True)


@contextmanager
def late_bar(title: str, *, is_shown: bool = True) -> Iterator[Callable[[int, int], None]]:
    """A function of (done, total) that shows a bar from its first call on: work that is done already needs none."""
    with ExitStack() as stack:
        bars: list[StepProgress] = []

        def progress(done: int, total: int) -> None:
            if not bars:
                bars.append(stack.enter_context(StepProgress(title, total, is_shown=is_shown, seconds=5.0)))
            bars[0].update(done)

        yield progress


def fit(title: str, done: int, total: int, figures: list[str], end: str, width: int) -> str:
    """One line of at most `width` characters: the count and `end` always, the rest as far as there is room.

    Figures go first, from the last one on, then the bar, then the end of the title.
    """
    count = f"{done}/{total}"
    while True:
        room = width - sum(len(part) + 1 for part in (title, count, *figures, end))
        if room >= _BAR[0] or not figures:
            break
        figures = figures[:-1]
    parts = [title, count, *figures, end]
    if room >= _BAR[0]:
        size = min(room, _BAR[1])
        full = round(size * min(1.0, done / max(1, total)))
        parts.insert(1, "━" * full + "─" * (size - full))
    elif room < -1:
        kept = len(title) + room
        parts[:1] = [title[:kept] + "…"] if kept > 0 else []
    return " ".join(parts)


def _texts(figures: Mapping[str, float]) -> list[str]:
    return [f"{name} {_short(value)}" for name, value in figures.items()]


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def clock(seconds: float) -> str:
    """Seconds as people say them: 45s, 3m05s, 2h10m."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 60}m{whole % 60:02d}s" if whole >= 60 else f"{whole}s"
