"""What went wrong, in one line: which file, which flag, what to do about it. Imports no torch."""

from __future__ import annotations

import errno
import os
import re
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from selftaught.core.names import one_line

EXPLAINED, UNEXPECTED = 2, 1
"""Exit codes: of what the user can set right, and of what nobody foresaw."""

_PACKAGE = Path(__file__).resolve().parents[1]
_REMEDIES = {
    errno.ENOSPC: "free some space there, or give another place",
    errno.EDQUOT: "free some space there, or give another place",
    errno.EFBIG: "raise the limit with `ulimit -f`, or give another place",
    errno.EROFS: "give a place that can be written to",
    errno.EACCES: "give another place, or change its permissions",
    errno.EPERM: "give another place, or change its permissions",
    errno.ENOTDIR: "a part of this path is a file; give another one",
    errno.EISDIR: "give a file, not a folder",
    errno.EEXIST: "give another name",
    errno.ENOENT: "check the name",
    errno.ELOOP: "its links lead in a circle",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.EMFILE: "too many files are open; raise the limit with `ulimit -n`",
}
_WRITES = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
_NO_MEMORY = (
    "DefaultCPUAllocator",
    "not enough memory",
    "Cannot allocate memory",
    "out of memory",
    "bad_alloc",
    "size calculation overflowed",
)
_BEFORE = "before"
"""Attribute of a system's error whose text names the argument: the error as it was."""
_NOT_WRITTEN = ("PytorchStreamWriter failed", "file write failed", "iostream error", "unexpected pos ")


class ProcessError(RuntimeError):
    """Another process of the run failed: its line for people, and the exit code that stands for it."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


def say_here(error: BaseException, is_told_here: bool) -> None:
    """Note on an error that ended several processes whether this one is to say it."""
    error.__dict__["is_told_here"] = is_told_here


class Launched(NamedTuple):
    """One of the processes that torchrun or srun started.

    Attributes:
        by: the program.
        rank: number of this process among all, from 0.
        local_rank: its number among those of its node.
        world: of all processes.
        nodes: that they run on.
    """

    by: str
    rank: int
    local_rank: int
    world: int
    nodes: int


def launched() -> Launched | None:
    """What torchrun or srun says about this process; None where neither started it."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        count = _number("WORLD_SIZE", 1)
        nodes = max(1, count // max(1, _number("LOCAL_WORLD_SIZE", count)))
        return Launched("torchrun", _number("RANK", 0), _number("LOCAL_RANK", 0), count, nodes)
    # By such a name Fabric, too, knows a shell in which processes are started by hand.
    if "SLURM_NTASKS" in os.environ and os.environ.get("SLURM_JOB_NAME") not in ("bash", "interactive"):
        ranks = _number("SLURM_PROCID", 0), _number("SLURM_LOCALID", 0)
        return Launched("srun", *ranks, _number("SLURM_NTASKS", 1), _number("SLURM_NNODES", 1))
    return None


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdigit() else default


def is_first_process() -> bool:
    """Whether this process shows results: the first one of those that torchrun or srun started, or the only one."""
    found = launched()
    return found is None or found.rank == 0


def is_told_here(error: BaseException) -> bool:
    """Whether this process says why the run ended; of several that were started each has the error, and one says it.

    Before they have met, that is the first one of each node.
    """
    found = launched()
    return bool(error.__dict__.get("is_told_here", found is None or found.local_rank == 0))


def explain(error: Exception, *, given: Mapping[str, str], is_training: bool = False) -> tuple[str, int]:
    """One line about the error, and the exit code.

    Args:
        error: what ended the verb.
        given: the paths of the command line by what they were given as, such as {"DATA": "photos", "--out": "run"}.
        is_training: whether the verb trains, so that memory depends on the batch.
    """
    if isinstance(error, ProcessError):
        return _text(error), error.code
    if _is_out_of_memory(error):
        spare = "lower --batch-size or --size, or raise --accumulate" if is_training else "lower --limit or --size"
        return f"the memory does not suffice ({_text(error)}); {spare}, or end other programs", EXPLAINED
    if isinstance(error, ValueError):
        return _text(error) + ("" if _is_ours(error) else f" ({type(error).__name__} at {place_of(error)})"), EXPLAINED
    system = _as_system_error(error)
    if system is not None:
        return _of_system(system, given), EXPLAINED
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("selftaught"):
        return f"the package {error.name} is not installed; install it with pip ({place_of(error)})", EXPLAINED
    if isinstance(error, RecursionError):
        return f"something is nested too deeply to be read (RecursionError at {place_of(error)})", EXPLAINED
    if type(error).__name__ == "SafetensorError":
        return f"a file of weights cannot be read or written ({_text(error)}, {place_of(error)})", EXPLAINED
    if not _is_ours(error) and _own_frame(error):
        told = f"{type(error).__name__}: {_text(error)} at {place_of(error)}, which is your own code"
        return f"{told}; run again with --debug for the traceback", EXPLAINED
    told = f"{type(error).__name__}: {_text(error)} at {place_of(error)}"
    return f"{told}; this is a bug of selftaught: run again with --debug for the traceback", UNEXPECTED


def with_argument(error: Exception, given: Mapping[str, str]) -> OSError | None:
    """The error of the system that it is, of the same type, but with text that names the argument and what to do.

    None where it is no error of the system. `given` is as in `explain`.
    """
    system = None if isinstance(error, ValueError) or _is_out_of_memory(error) else _as_system_error(error)
    if system is None or system is not getattr(error, _BEFORE, system):
        return None
    text = _of_system(system, given)
    if isinstance(system.filename, str):
        text = text.replace(f"{one_line(system.filename)}: ", "", 1)  # Python adds it
    before = OSError(system.errno, system.strerror or _text(system), system.filename)
    setattr(system, _BEFORE, before)
    if system.errno is None:
        system.args = (text,)
    else:
        system.strerror = text
    return system


def place_of(error: BaseException) -> str:
    """file:line in this package, or in the user's own code, nearest to where the error was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    near = _own_frame(error) or next((f for f in reversed(frames) if _in_package(f.filename)), None)
    if near is None:
        return "an unknown place"
    path = Path(near.filename)
    shown = path.resolve().relative_to(_PACKAGE.parent) if _in_package(near.filename) else path
    return f"{shown}:{near.lineno}"


@contextmanager
def own_code(part: str) -> Iterator[None]:
    """Errors of a user's own code within become one sentence: which part fails, in which line of theirs, and why.

    Sentences (`ValueError`), errors of the system, and a package that is not installed stay as they are.
    """
    try:
        yield
    except (ValueError, OSError, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("selftaught"):
            raise
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame)]
        place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else place_of(error)
        text = " ".join(str(error).split())[:300] or "no text"
        raise ValueError(f"{part} fails at {place}: {type(error).__name__}: {text}") from error


def _own_frame(error: BaseException) -> traceback.FrameSummary | None:
    """The frame of the user's code, such as a task of their own, where that was nearer to the error than ours."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if _in_package(frame.filename):
            return None
        if _is_users(frame):
            return frame
    return None


def _is_users(frame: traceback.FrameSummary) -> bool:
    """Whether it is neither of this package nor of Python or another library."""
    file = frame.filename
    library = "site-packages" in file or file.startswith((str(Path(os.__file__).parent), "<"))
    return not library and not _in_package(file)


def _in_package(file: str) -> bool:
    return Path(file).resolve().is_relative_to(_PACKAGE)


def _is_ours(error: BaseException) -> bool:
    """Whether this package raised it, so that its text was written for people."""
    frames = traceback.extract_tb(error.__traceback__)
    return not frames or _in_package(frames[-1].filename)


def _text(error: BaseException) -> str:
    text = str(error) if not isinstance(error, KeyError) else f"no {error}"
    first = " ".join(text.split()) or type(error).__name__
    return one_line(first)


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or (isinstance(error, RuntimeError) and any(text in str(error) for text in _NO_MEMORY))


def _as_system_error(error: Exception) -> OSError | None:
    """The error of the operating system that it is, or that a library made a text of."""
    if isinstance(error, OSError):
        before: OSError = getattr(error, _BEFORE, error)
        return before
    told = re.search(r"\(os error (\d+)\)|\[Errno (\d+)\]", str(error))
    if told:
        number = int(told[1] or told[2])
        return OSError(number, os.strerror(number))
    if isinstance(error, RuntimeError) and any(text in str(error) for text in _NOT_WRITTEN):
        return OSError(errno.ENOSPC, "the file cannot be written, as when the disk is full")
    return None


def _of_system(error: OSError, given: Mapping[str, str]) -> str:
    reason = error.strerror or _text(error)
    remedy = _REMEDIES.get(error.errno or 0, "")
    remedy = f"; {remedy}" if remedy else ""
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    if not names:
        out = given.get("--out")
        where = f"--out {out}" if out and (error.errno in _WRITES or not error.errno) else ""
        others = " or the cache folder (SELFTAUGHT_CACHE)" if where and error.errno in _WRITES else ""
        return one_line(f"{where}{others}: {reason}{remedy}" if where else f"{reason}{remedy}")
    whose = next((found for name in names if (found := _whose(name, given))), "")
    return one_line(f"{whose}{names[0]}: {reason}{remedy}")


def _whose(name: str, given: Mapping[str, str]) -> str:
    """The flag whose path holds the file: "--out run: " of run/metrics.csv; "" where none does."""
    path = _absolute(name)
    best = ""
    longest = -1
    cache = os.environ.get("SELFTAUGHT_CACHE") or str(Path.home() / ".cache" / "selftaught")
    for flag, value in {"the cache folder (SELFTAUGHT_CACHE)": cache, **given}.items():
        root = _absolute(value)
        # A folder that cannot be made is named by the error, not what was to be written below it.
        if (path.is_relative_to(root) or root.is_relative_to(path)) and len(root.parts) > longest:
            best, longest = f"{flag} {value}: " if path != root and flag in given else f"{flag}: ", len(root.parts)
    return best


def _absolute(name: str) -> Path:
    """Without following links, which may be what is wrong."""
    return Path(os.path.normpath(Path(name).expanduser().absolute()))
