"""The flags of a verb, made from its function's signature and from the fields of `RunConfig`; no torch."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import re
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

from selftaught.core.config import run_settings
from selftaught.core.names import NEAR
from selftaught.core.options import OF_THE_TASK, Option, flag_of, option_of, run_options, typed


def _names(group: str) -> tuple[str, ...]:
    """Settings of one group; "data" and "out" are arguments of `pretrain` itself."""
    other = ("data", "out", *OF_THE_TASK)
    return tuple(s.name for s in run_settings() if s.group == group and s.name not in other)


GROUPS = {
    "model": ("task", *_names("network")),
    "length": _names("length"),
    "optimisation": _names("optim"),
    "data": ("seed", *_names("data")),
    "hardware": _names("machine"),
    "run folder": _names("folder"),
}
"""Headings of `pretrain --help`; a test holds that every field of RunConfig is under one."""


SYNONYMS = {
    **dict.fromkeys(("method", "pretext", "objective", "ssl-method", "algorithm"), ("task", "tasks")),
    "task": ("tasks",), "tasks": ("task",), "methods": ("tasks", "task"),
    **dict.fromkeys(("model", "backbone", "arch", "architecture", "network", "net", "model-name"),
                    ("encoder", "run", "given")),
    **dict.fromkeys(("checkpoint", "checkpoint-path", "ckpt", "ckpt-path", "pretrained", "pretrained-weights", "init",
                     "init-weights", "load", "weights-path", "finetune", "from-pretrained"),
                    ("weights", "checkpoint")),
    **dict.fromkeys(("resume-from", "resume-from-checkpoint", "continue", "continue-training"), ("resume",)),
    **dict.fromkeys(("image-size", "img-size", "imgsz", "input-size", "resolution", "crop-size"), ("size",)),
    **dict.fromkeys(("output", "output-dir", "outdir", "save-dir", "log-dir", "logdir", "run-dir", "out-dir",
                     "checkpoint-dir"), ("out",)),
    **dict.fromkeys(("data", "data-dir", "data-path", "dataset", "train-dir", "input", "source"), ("DATA",)),
    **dict.fromkeys(("learning-rate", "base-lr", "blr", "max-lr"), ("lr",)), "backbone-lr": ("encoder-lr",),
    **dict.fromkeys(("bs", "batch", "train-batch-size", "per-device-train-batch-size", "batch-size-per-gpu"),
                    ("batch-size",)),
    **dict.fromkeys(("num-workers", "n-workers", "j", "loader-workers"), ("workers",)),
    **dict.fromkeys(("wd", "decay"), ("weight-decay",)), **dict.fromkeys(("opt", "optim"), ("optimizer",)),
    **dict.fromkeys(("num-epochs", "max-epochs", "n-epochs", "num-train-epochs", "total-epochs"), ("epochs",)),
    **dict.fromkeys(("max-steps", "num-steps", "iterations", "iters", "max-iters"), ("steps",)),
    **dict.fromkeys(("time", "time-limit", "max-time", "timeout"), ("budget",)),
    **dict.fromkeys(("device", "gpu", "cuda", "accel"), ("accelerator",)),
    **dict.fromkeys(("gpus", "num-gpus", "ngpus", "nproc-per-node", "num-devices"), ("devices",)),
    **dict.fromkeys(("nodes", "nnodes"), ("num-nodes",)),
    **dict.fromkeys(("amp", "fp16", "bf16", "mixed-precision", "dtype"), ("precision",)),
    **dict.fromkeys(("gradient-accumulation-steps", "accumulate-grad-batches", "accum-iter", "grad-accum"),
                    ("accumulate",)),
    **dict.fromkeys(("clip-grad", "max-grad-norm", "gradient-clip-val", "grad-clip"), ("clip",)),
    **dict.fromkeys(("warmup-epochs", "warmup-steps", "warmup-ratio"), ("warmup",)),
    **dict.fromkeys(("random-seed", "manual-seed"), ("seed",)),
    **dict.fromkeys(("val-split", "val-fraction", "validation-split"), ("held-out",)),
    **dict.fromkeys(("clip-len", "clip-length", "num-frames", "n-frames", "frames-per-clip"), ("frames",)),
    **dict.fromkeys(("sampling-rate", "frame-interval", "temporal-stride"), ("stride",)),
    **dict.fromkeys(("force", "exist-ok", "overwrite-output-dir"), ("overwrite",)),
    **dict.fromkeys(("log", "loggers", "report-to", "use-wandb", "wandb", "mlflow", "trackio"), ("logger",)),
    **dict.fromkeys(("k", "n", "num-results", "top-k", "topk"), ("top", "count")),
    **dict.fromkeys(("eval", "metric", "evaluator"), ("probe",)),
    **dict.fromkeys(("label-fraction", "train-fraction", "percent"), ("fraction",)),
    **dict.fromkeys(("labels", "labeled", "labelled-data"), ("labelled", "label-column")),
    "dryrun": ("dry-run",), "compute-dtype": ("precision",),
}  # fmt: skip
"""Flags of other programs, without dashes -> what they are called here, the first of these that a verb has; in capitals
an argument without a flag."""


@dataclasses.dataclass(frozen=True)
class Heading:
    """Of flags that depend on the command line: the title above them in the help, and what their names begin with."""

    title: str
    prefix: str


FURTHER = {
    "task_settings": Heading("task settings", "task."),
    "encoders": Heading("further encoders of the task", ""),
    "probe_settings": Heading("probe settings", "probe."),
}
"""Arguments of public functions whose flags are those of a task or a probe."""


class Parser(argparse.ArgumentParser):
    """Errors are ValueErrors, printed by the command line as one line."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message}; see '{self.prog} --help'")


@dataclasses.dataclass(frozen=True)
class Verb:
    """What a public function takes: positional arguments, flags of its own, and further settings of a run."""

    name: str
    function: Callable[..., Any]
    summary: str
    positional: tuple[Option, ...]
    flags: tuple[Option, ...]
    required: frozenset[str]
    settings: tuple[Option, ...]

    @property
    def trains(self) -> bool:
        """Whether it takes what a task is trained with."""
        return any(option.name == "epochs" for option in self.settings)


def read_verb(function: Callable[..., Any], *, name: str = "") -> Verb:
    """From the signature, the type hints and the docstring; its name is the function's unless given."""
    parameters = inspect.signature(function).parameters
    docstring = inspect.getdoc(function) or ""
    helps = _argument_helps(docstring)
    hints = typing.get_type_hints(function)
    named = [p for p in parameters.values() if p.kind is not p.VAR_KEYWORD]
    named = [p for p in named if p.name != "probe_settings"]  # flags of their own
    options = {p.name: option_of(p.name, hints[p.name], p.default, helps[p.name]) for p in named}
    own = {"data", "task", *options}
    further = [hints[p.name] for p in parameters.values() if p.kind is p.VAR_KEYWORD]
    taken = {name for unpacked in further for name in typing.get_args(unpacked)[0].__annotations__}
    return Verb(
        name=name or function.__name__,
        function=function,
        summary=docstring.split("\n", 1)[0],
        positional=tuple(options[p.name] for p in named if p.kind is not p.KEYWORD_ONLY),
        flags=tuple(options[p.name] for p in named if p.kind is p.KEYWORD_ONLY),
        required=frozenset(p.name for p in named if p.default is p.empty),
        settings=tuple(o for o in run_options().values() if o.name in taken - own),
    )


def make_parser(verb: Verb, further: Mapping[str, Sequence[Option]], *, note: str) -> Parser:
    """The verb's parser; every value is kept as text until `read_values`.

    `further` are the flags of the task and of the probe that the command line names, by the keys of `FURTHER`.
    """
    parser = Parser(
        prog=f"selftaught {verb.name}", usage=_usage(verb), description=verb.summary, epilog=note, allow_abbrev=False
    )
    for option in verb.positional:
        count = {"nargs": "*" if option.many else "?"} if option.name not in verb.required else {}
        parser.add_argument(option.name, metavar=option.name.upper(), help=_help(option), **count)  # type: ignore[arg-type]
    grouped = {name: title for title, names in GROUPS.items() for name in names} if verb.settings else {}
    groups: dict[str, Any] = {title: parser.add_argument_group(title) for title in GROUPS if grouped}
    for option in [*verb.flags, *verb.settings]:
        add_flag(groups.get(grouped.get(option.name, ""), parser), option, required=option.name in verb.required)
    for argument, options in further.items():
        heading = FURTHER[argument]
        group = parser.add_argument_group(heading.title)
        for option in options:
            add_flag(group, option, prefix=heading.prefix)
    parser.add_argument(
        "--json", action="store_true", help="print the result as JSON on stdout and everything else on stderr"
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of errors (also SELFTAUGHT_DEBUG=1)")
    return parser


def add_flag(group: Any, option: Option, *, prefix: str = "", required: bool = False) -> None:
    """`--name VALUE`, or `--name` alone for a switch that is off by default."""
    help = _help(option)
    if not required and option.default not in (None, False) and "default" not in help.lower():
        default = ",".join(map(str, option.default)) if option.many else option.default
        help = f"{help} (default: {default})"
    flag = flag_of(prefix + option.name)
    if option.type == "bool" and option.default is False:
        group.add_argument(flag, dest=prefix + option.name, help=help, action="store_const", const="true")
        return
    words = {"int": "N", "float": "X", "str": option.name.rpartition(".")[2].upper(), "bool": "true|false"}
    metavar = "{" + ",".join(map(str, option.choices)) + "}" if option.choices else words[option.type]
    group.add_argument(flag, dest=prefix + option.name, help=help, metavar=metavar, required=required)


def read_values(
    options: Iterable[Option], parsed: argparse.Namespace, *, prefix: str = "", positional: Sequence[Option] = ()
) -> dict[str, Any]:
    """The values that were given, typed; what was not given is left to the function's defaults."""
    values = {}
    for option in options:
        text = getattr(parsed, prefix + option.name)
        if text is not None and text != []:
            flag = option.name.upper() if option in positional else flag_of(prefix + option.name)
            if option.type == "str" and "" in ([text] if isinstance(text, str) else text):
                raise ValueError(f"{flag} must not be empty")
            values[option.name] = typed(option, text, flag=flag)
    return values


def reject(parser: Parser, extra: Sequence[str]) -> None:
    """One sentence for what the parser did not know, with the near matches."""
    if not extra:
        return
    flag = next((word.split("=")[0] for word in extra if word.startswith("-")), None)
    if flag is None:
        raise ValueError(f"{extra[0]!r} is one argument too many; see '{parser.prog} --help'")
    known = [name for name in parser._option_string_actions if name.startswith("--")]
    # Without the dashes, which all have in common, and with the hyphens that are underscores elsewhere.
    plain, names = flag.lstrip("-").replace("_", "-").lower(), [name[2:] for name in known]
    places = [action.dest.upper() for action in parser._actions if not action.option_strings]
    meant = [f"--{name}" if name in names else name for name in SYNONYMS.get(plain, ()) if name in [*names, *places]]
    near = [f"--{plain}"] if plain in names else meant[:1]
    near = near or [f"--{name}" for name in get_close_matches(plain, names, n=3, cutoff=NEAR)]
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise ValueError(f"unknown flag {flag}; {hint}see '{parser.prog} --help' for all of them")


def _usage(verb: Verb) -> str:
    """The verb with all it must be given; the flags are listed below it anyway."""
    needed = [f"--{o.name} {o.name.upper()}".replace("_", "-") for o in verb.flags if o.name in verb.required]
    places = [o.name.upper() if o.name in verb.required else f"[{o.name.upper()} ...]" for o in verb.positional]
    return " ".join(["selftaught", verb.name, *places, *needed, "[flags]"])


def _help(option: Option) -> str:
    """One line that starts in lower case, as those of argparse do, unless with a name such as LiDAR or GB."""
    text = option.help.rstrip(".").replace("%", "%%")
    return text[:1].lower() + text[1:] if re.match(r"(A|[A-Z][a-z,;:-]+) ", text) else text


def _argument_helps(docstring: str) -> dict[str, str]:
    """Lines such as `size: side of the images.` under Args."""
    part = re.search(r"^Args:\n((?:[ ]{4}.*\n?|\n)+)", docstring + "\n", flags=re.MULTILINE)
    lines = re.split(r"\n {4}(?! )", "\n" + part[1].rstrip()) if part else []
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {name.strip(): " ".join(text.split()) for name, text in pairs}
