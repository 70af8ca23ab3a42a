"""Progress for people: a bar on a terminal, plain lines elsewhere, nothing on stdout."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_SAID: set[str] = set()


def say_once(line: str, *, is_shown: bool = True) -> None:
    """A line on stderr, the first time this process says it: each split of the data has the same notes."""
    if is_shown and line not in _SAID:
        _SAID.add(line)
        Console(file=sys.stderr).print(line, highlight=False, soft_wrap=True, markup=False)


class StepProgress:
    """Steps of a run with their figures, speed and time left, on stderr."""

    def __init__(self, title: str, total: int, *, start: int = 0, is_shown: bool = True, seconds: float = 10.0) -> None:
        self.title = title
        self.total = total
        self.seconds = seconds
        self.is_shown = is_shown
        self._console = Console(file=sys.stderr)
        self._first = self._done = start
        self._begin = self._printed = time.monotonic()
        self._bar: Progress | None = None
        if is_shown and self._console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[figures]}"),
                TimeRemainingColumn(),
                console=self._console,
            )
            self._row = self._bar.add_task(title, total=total, completed=start, figures="")

    def __enter__(self) -> StepProgress:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def update(self, done: int, **figures: float) -> None:
        """`done` steps are over; figures are shown under their names."""
        if not self.is_shown:
            return
        text = " ".join(f"{name} {_short(value)}" for name, value in figures.items())
        if self._bar:
            self._bar.update(self._row, completed=done, figures=text)
        elif time.monotonic() - self._printed >= self.seconds or done >= self.total:
            self._printed = time.monotonic()
            pace = (self._printed - self._begin) / max(1, done - self._first)
            self.say(f"{self.title} {done}/{self.total} {text} {_clock(pace * (self.total - done))} left")

    def say(self, line: str) -> None:
        """A line of its own."""
        if self.is_shown:
            self._console.print(line, highlight=False, soft_wrap=True, markup=False)


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _clock(seconds: float) -> str:
    seconds = int(seconds)
    return f"{seconds // 60}m{seconds % 60:02d}s" if seconds >= 60 else f"{seconds}s"
