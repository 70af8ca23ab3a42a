"""`selftaught` and `python -m selftaught` are the command line; Ctrl-C is one line from the first moment on."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType


def command() -> int:
    """Run the command line; what it needs is imported after the signals are heeded, as that takes a while."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) not in (signal.SIG_IGN, None):  # ignored with nohup
            signal.signal(number, _end)
    from selftaught.cli.main import main

    return main()


def _end(number: int, _: FrameType | None) -> None:
    """Nothing was begun yet, or all is done."""
    os.write(2, b"selftaught: interrupted\n")
    os._exit(128 + number)


if __name__ == "__main__":
    sys.exit(command())
