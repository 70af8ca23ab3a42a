"""The command line: each verb calls its public function in `api`. Imports no torch."""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import os
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TextIO

from selftaught import api
from selftaught.cli.child import quiet_fabric
from selftaught.cli.flags import FURTHER, Parser, Verb, make_parser, read_values, read_verb, reject
from selftaught.core import threads
from selftaught.core.errors import explain, is_first_process, is_told_here
from selftaught.core.names import unknown_name
from selftaught.core.options import Option, run_options
from selftaught.core.plain import paths_of, plain, strict
from selftaught.core.signals import Terminated, terminating

if TYPE_CHECKING:
    from selftaught.tasks.catalogue import TaskInfo

VERBS = (
    *("tasks", "encoders", "probes", "pretrain", "evaluate", "compare", "agreement"),
    *("embed", "search", "fit", "predict", "suggest", "explore", "export", "push", "report", "cache", "demo", "world"),
)
_FUNCTIONS = {"tasks": "list_tasks", "encoders": "list_encoders", "probes": "list_probes", "report": "write_report"}
"""Public functions that are not called as their verb is, as a folder of the package has that name."""

COMPUTING = ("pretrain", "evaluate", "compare", "embed", "search", "fit", "predict", "suggest", "explore", "demo")
RESUMABLE = ("pretrain", "compare")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; 0, or 2 after an error that one line explains, 1 after one nobody foresaw, 130 when interrupted."""
    words = list(sys.argv[1:] if argv is None else argv)
    given: dict[str, str] = {}
    try:
        with terminating():
            # Lightning's notes on devices and precision would stand before the one line that an error is.
            quiet_fabric()
            is_computing = bool({*words[:1]} & {*COMPUTING}) and "--help" not in words
            threads.prepare(is_computing=is_computing, is_program=argv is None)
            if isinstance(sys.stdout, io.TextIOWrapper):
                sys.stdout.reconfigure(errors="backslashreplace")  # file names may hold what the terminal cannot show
            return _run(words, given)
    except KeyboardInterrupt as stopped:
        exec("")  # forgets a Ctrl-C that broke off another exec: Python would end by the signal and not by our code
        resumable = words[:1] and words[0] in RESUMABLE
        hint = "; the same command with --resume goes on from the last checkpoint" if resumable else ""
        is_terminated = isinstance(stopped, Terminated)
        if is_told_here(stopped):
            start = "" if is_terminated else "\n"  # after "^C" a new line
            print(f"{start}selftaught: interrupted{hint}", file=sys.stderr)
        return 143 if is_terminated else 130
    except BrokenPipeError:  # `selftaught tasks | head` closes stdout early; nobody reads more
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except Exception as error:
        is_shown = is_told_here(error)
        if is_shown and ("--debug" in words or os.environ.get("SELFTAUGHT_DEBUG")):
            traceback.print_exception(error)
        text, code = explain(error, given=given, is_training=bool({*words[:1]} & {"pretrain", "compare"}))
        if is_shown:
            print(f"selftaught: error: {text}", file=sys.stderr)
        return code


def verb_of(name: str) -> Verb:
    """The verb of that name, as its public function says it."""
    return read_verb(getattr(api, _FUNCTIONS.get(name, name)), name=name)


def _run(words: list[str], given: dict[str, str]) -> int:
    """Run the verb; paths among its arguments are put into `given`, for error messages."""
    name = words[0] if words else "--help"
    if name in ("--version", "-V"):
        from importlib.metadata import version

        print(f"selftaught {version('selftaught')}")
        return 0
    if name.startswith("-"):
        return _overview(words)
    if name not in VERBS:
        raise ValueError(unknown_name("command", name, VERBS))
    verb = verb_of(name)
    further = further_options(verb, words[1:])
    parser = make_parser(verb, further, note=_note(verb))
    try:
        parsed, extra = parser.parse_known_args(words[1:])
    except SystemExit:  # --help printed itself
        return 0
    reject(parser, extra)
    arguments = read_values((*verb.positional, *verb.flags), parsed, positional=verb.positional)
    if verb.settings:
        arguments |= read_values(verb.settings, parsed)
    for argument, options in further.items():
        arguments[argument] = read_values(options, parsed, prefix=FURTHER[argument].prefix)
    given.update(paths_of(inspect.signature(verb.function), arguments))
    if not parsed.json:
        result = verb.function(**arguments)
        if is_first_process():
            _show(name, result)
        return 0
    with _stdout_for_json() as stdout:
        result = verb.function(**arguments)
        if is_first_process():
            stdout.write(json.dumps(strict(plain(result)), allow_nan=False) + "\n")
    return 0


def _overview(words: list[str]) -> int:
    parser = Parser(
        prog="selftaught",
        description="Learn visual features from unlabelled images, videos and audio, and measure how good they are.",
        epilog="'selftaught COMMAND --help' lists the flags of a command.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", "-V", action="store_true", help="print the version")
    group = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name in VERBS:
        group.add_parser(name, help=verb_of(name).summary, add_help=False)
    try:
        _, extra = parser.parse_known_args(words or ["--help"])
    except SystemExit:
        return 0
    reject(parser, extra)
    return 0


def _note(verb: Verb) -> str:
    """The last line of a verb's help."""
    if verb.name == "pretrain":
        return "Task settings are flags too: 'selftaught pretrain --task rotation --help' lists those of rotation."
    if verb.name == "evaluate":
        return "Probe settings are flags too: 'selftaught evaluate --probe knn --help' lists those of knn."
    if verb.name == "compare":
        return (
            "With --tasks, --help also lists the settings of those tasks; a setting applies to every task that has it."
        )
    return ""


def further_options(verb: Verb, words: Sequence[str]) -> dict[str, list[Option]]:
    """Arguments of the verb that depend on `words`, each with its flags: settings and further encoders of the task or
    tasks that are named there, and settings of the probe.
    """
    further: dict[str, list[Option]] = {}
    if verb.trains:
        infos = _tasks(verb, words)
        further["task_settings"] = _first_of_each_name(option for info in infos for option in info.options)
        if encoders := [option for info in infos for option in info.encoder_options]:
            further["encoders"] = _first_of_each_name(encoders)
    own = {option.name: option for option in verb.flags}
    if "probe" in own:
        from selftaught.evaluation.probes.catalogue import options_of

        name = (_given("probe", words) or [str(own["probe"].default)])[-1]
        further["probe_settings"] = options_of(name)
    return further


def _tasks(verb: Verb, words: Sequence[str]) -> list[TaskInfo]:
    """The task or tasks named in `words`; the default task only when a flag asks for one of its settings."""
    from selftaught.tasks.catalogue import named_tasks, task_info

    given = _given("tasks" if verb.name == "compare" else "task", words)
    if not given and any(word.startswith("--task.") for word in words):
        given = [str(run_options()["task"].default)]
    return [task_info(name.strip()) for text in given[-1:] for name in named_tasks(text)]


def _first_of_each_name(options: Iterable[Option]) -> list[Option]:
    found: dict[str, Option] = {}
    for option in options:
        found.setdefault(option.name, option)
    return list(found.values())


def _given(flag: str, words: Sequence[str]) -> list[str]:
    """The values that a flag was given, as `--flag value` or `--flag=value`."""
    given = [after for word, after in pairwise(words) if word == f"--{flag}"]
    return given + [word.split("=", 1)[1] for word in words if word.startswith(f"--{flag}=")]


@contextlib.contextmanager
def _stdout_for_json() -> Iterator[TextIO]:
    """The real stdout; until the end, whatever else is printed, from C too, goes to stderr."""
    sys.stdout.flush()
    kept = os.dup(1)
    with open(kept, "w", encoding="utf-8") as stdout, contextlib.redirect_stdout(sys.stderr):  # noqa: PTH123
        os.dup2(2, 1)
        try:
            yield stdout
            stdout.flush()
        finally:
            sys.stderr.flush()
            os.dup2(kept, 1)


def _show(name: str, result: Any) -> None:
    from selftaught.cli.printing import show

    show(name, result)
