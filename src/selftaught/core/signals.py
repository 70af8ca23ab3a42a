"""Ctrl-C and SIGTERM: the first one asks a run to stop at the next step, the second one ends it at once."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

SAVE_SECONDS = 300.0
"""A run's checkpoint is never older than this and a step."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, to be treated as Ctrl-C."""


class Stop:
    """Whether a signal asked to stop; until `is_patient` is set, a signal ends what is done at once.

    Attributes:
        asked: the signal that came to this process.
        due: the signal that the run stops for after this step, the same in all its processes.
        is_late: whether the last save was long ago for one of them, the same in all.
    """

    def __init__(self) -> None:
        self.is_patient = False
        self.asked: int | None = None
        self.due: int | None = None
        self.is_late = False
        self._saved = time.monotonic()

    def handle(self, number: int, _: FrameType | None) -> None:
        """Take a signal."""
        if self.is_patient and self.asked is None:
            self.asked = number
            return
        self.asked = number
        self.end()

    def wait_for_end(self) -> None:
        """From now on the run is ending: one more signal is only noted, the one after it ends what is done."""
        self.is_patient, self.asked = True, None

    def end_unless(self, is_over: bool) -> None:
        """Raise where a signal asked for it and there is something left to stop."""
        if is_over:
            self.is_patient = False
        elif self.due is not None:
            self.asked = self.due
            self.end()

    def heed(self) -> None:
        """Raise where a signal came in the last step, so that what follows the run does not begin."""
        if self.asked is not None:
            self.end()

    def has_waited(self) -> bool:
        """Whether the last save that `is_save_due` asked for was long ago for this process."""
        return time.monotonic() - self._saved >= SAVE_SECONDS

    def is_save_due(self) -> bool:
        """Whether a signal came, or the last save of this kind was long ago; the same in all processes."""
        if self.due is None and not self.is_late:
            return False
        self._saved = time.monotonic()
        return True

    def end(self) -> NoReturn:
        """Raise what the signal stands for."""
        raise Terminated if self.asked == signal.SIGTERM else KeyboardInterrupt


@contextmanager
def terminating() -> Iterator[None]:
    """Ctrl-C and SIGTERM end what is done, SIGTERM with `Terminated`, so that nothing half-written stays.

    An interrupted library may make an error of its own of it, such as an import that was broken off: that is the end
    by the signal too.
    """
    asked: list[int] = []

    def end(number: int, _: FrameType | None) -> NoReturn:
        asked.append(number)
        raise ending()

    def ending() -> KeyboardInterrupt:
        return Terminated() if asked[0] == signal.SIGTERM else KeyboardInterrupt()

    with _handled(end, signal.SIGINT, signal.SIGTERM):
        try:
            yield
        except Exception as error:
            if asked:
                raise ending() from error
            raise


@contextmanager
def stopping() -> Iterator[Stop]:
    """Both signals go to the `Stop`."""
    stop = Stop()
    with _handled(stop.handle, signal.SIGINT, signal.SIGTERM):
        yield stop


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait until the end: for what is short and must be done whole."""
    came: list[int] = []
    with _handled(lambda number, _: came.append(number), signal.SIGINT, signal.SIGTERM):
        yield
    if came:
        signal.raise_signal(came[0])


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None], *numbers: signal.Signals) -> Iterator[None]:
    """Handle these signals within; only in the main thread, and not where they are ignored (nohup)."""
    is_main = threading.current_thread() is threading.main_thread()
    heeded = [n for n in numbers if is_main and signal.getsignal(n) not in (signal.SIG_IGN, None)]
    before = {number: signal.signal(number, handler) for number in heeded}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
