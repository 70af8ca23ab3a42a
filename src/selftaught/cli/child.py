"""What a further process of a run on several devices runs: `python -m selftaught.cli.child`."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import traceback
import warnings
from typing import Any, TextIO

from selftaught.core import threads
from selftaught.core.errors import UNEXPECTED, explain


def main() -> int:
    """Train or embed as stdin says; report to the first process on stdout when ready and how it ended."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the first process stops, and with it all
    first = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # output of a task is not a message
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_first, daemon=True).start()
    threads.prepare()
    warnings.simplefilter("ignore")  # the first process says the same
    quiet_fabric()
    try:
        if "attempt" in order:
            tell(first, result=_attempt(order))
        elif "embed" in order:
            _embed(order)
        else:
            _train(order, first)
    except KeyboardInterrupt:
        pass  # all stopped together, as the first process was asked to
    except BaseException as error:
        tell(first, **described(error, _settings(order)))
        return UNEXPECTED
    tell(first, done=True)
    return 0


def quiet_fabric() -> None:
    """Silence Lightning's notes on devices and processes: they would stand before the one line that an error is."""
    for module in ("rank_zero", "distributed"):
        logging.getLogger(f"lightning_fabric.utilities.{module}").setLevel(logging.WARNING)


def described(error: BaseException, config: dict[str, Any]) -> dict[str, Any]:
    """An error as JSON holds it: its line for people, exit code and traceback."""
    given = {"DATA": config["data"], "--out": config["out"]}
    text, code = f"{type(error).__name__}: {error}", UNEXPECTED
    if isinstance(error, Exception):
        text, code = explain(error, given=given, is_training=True)
    trace = "".join(traceback.format_exception(error))
    return {"text": text, "code": code, "is_value_error": isinstance(error, ValueError), "trace": trace}


def tell(first: TextIO, **message: Any) -> None:
    """Send a line to the first process; it may be gone."""
    try:
        print(json.dumps(message), file=first, flush=True)
    except BrokenPipeError:
        os._exit(UNEXPECTED)


def _train(order: dict[str, Any], first: TextIO) -> None:
    import torch

    from selftaught.core.config import RunConfig
    from selftaught.training.train import train

    torch.set_num_threads(order["threads"])
    config = RunConfig.from_dict(order["config"])
    train(config, begin=order["begin"], on_ready=lambda: tell(first, ready=True))


def _settings(order: dict[str, Any]) -> dict[str, Any]:
    """Where the paths of an order are."""
    found: dict[str, Any] = order.get("config") or order.get("embed") or order["attempt"]["config"]
    return found


def _attempt(order: dict[str, Any]) -> dict[str, Any]:
    import torch

    from selftaught.core.plain import plain, strict
    from selftaught.evaluation.side_by_side.one_task import attempt

    torch.set_num_threads(order["threads"])
    found: dict[str, Any] = strict(plain(attempt(order["attempt"])))
    return found


def _embed(order: dict[str, Any]) -> None:
    import torch

    from selftaught.evaluation.vectors.write import embed_share

    torch.set_num_threads(order["threads"])
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the first process says the same, and what is wrong
    embed_share(order["embed"], int(os.environ["LOCAL_RANK"]), order["world"])


def _end_with_first() -> None:
    """End where the first process is gone, even while this one waits for it."""
    os.read(0, 1)
    os._exit(UNEXPECTED)


if __name__ == "__main__":
    sys.exit(main())
