"""Files that are there whole or not at all, JSON, the file a verb may write, digests, the cache folder."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows: two processes that write one file are not told apart
    fcntl = None  # type: ignore[assignment]

_HAS_LOCKS = fcntl is not None
_TEMPORARY: list[Path] = []
"""Cache folders that are used instead of the user's for a while, the current one last."""


@contextmanager
def written_whole(path: Path, *, flush: bool = True, new: bool = False) -> Iterator[Path]:
    """A path to write to, in the folder of `path`; it becomes `path` when the block ends without an error.

    The temporary name is fixed, so what a killed process leaves behind is overwritten by the next one. Who writes many
    files waits for the disk once, by `flush_together`, and not twice for each. Another process that writes the same
    file waits, and then replaces it; if it is to be `new`, the file stays as it is.
    """
    draft = draft_of(path)
    try:
        with _alone_at(draft):
            yield draft
            if new and path.exists():
                draft.unlink(missing_ok=True)
                return
            if flush:
                _flush_to_disk(draft)
            draft.replace(path)
            if flush:
                _flush_to_disk(path.parent)
    except OSError as error:
        # A full disk is noticed by calls that know no name. Without a number, Python would show the name alone.
        if error.filename in (None, os.fspath(draft), draft) and error.errno is not None:
            error.filename = os.fspath(path)
        raise


@contextmanager
def told_as(draft: Path, path: Path) -> Iterator[None]:
    """An OSError of a file in the folder `draft` names `path` instead, the folder that the user gave."""
    try:
        yield
    except OSError as error:
        if isinstance(error.filename, str) and Path(error.filename).is_relative_to(draft):
            error.filename = os.fspath(path)
        raise


@contextmanager
def _alone_at(draft: Path) -> Iterator[None]:
    """Wait until no other process writes the draft; it is removed if the block ends by an error."""
    handle = _locked(draft) if _HAS_LOCKS else None
    try:
        yield
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    finally:
        if handle is not None:
            with suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_UN)  # also where a process that was started meanwhile has the handle
            os.close(handle)


def _locked(draft: Path) -> int:
    """A handle of the draft, which no other process has locked."""
    while True:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT, 0o666)
        with suppress(OSError):  # file systems without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), draft.stat()):
                return handle
        os.close(handle)  # another one has given it its name meanwhile


def flush_together(folder: Path, names: Iterable[str]) -> None:
    """Wait until these files of the folder are on the disk, and so are their names."""
    for name in names:
        _flush_to_disk(folder / name)
    _flush_to_disk(folder)


def draft_of(path: Path) -> Path:
    """The name of a file while it is written."""
    return path.with_name(f".{path.name}.part")


def _flush_to_disk(path: Path) -> None:
    if path.is_dir() and os.name == "nt":
        return  # Windows opens no folders
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def digest(parts: Iterable[str]) -> str:
    """Hex digest of texts in order; a separator keeps ("ab", "c") from ("a", "bc")."""
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def cache_root() -> Path:
    """`$SELFTAUGHT_CACHE`, or selftaught in the user's cache folder; within `temporary_cache` the folder of that."""
    if _TEMPORARY:
        return _TEMPORARY[-1]
    own = os.environ.get("SELFTAUGHT_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "selftaught"


@contextmanager
def temporary_cache() -> Iterator[Path]:
    """What is cached within goes to a folder of its own, which is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="selftaught-", ignore_cleanup_errors=True) as folder:
        _TEMPORARY.append(Path(folder))
        try:
            yield Path(folder)
        finally:
            _TEMPORARY.pop()


def check_out(out: str | Path, forms: Mapping[str, str], *, overwrite: bool) -> Path:
    """The path of a file that may be written.

    Args:
        out: as it was given; ~ is the home folder.
        forms: the endings that are known, such as {".csv": "csv"}; none means that any will do.
        overwrite: whether a file of that name may be replaced.
    """
    path = Path(out).expanduser()
    if path.is_dir():
        raise ValueError(f"--out {out} is a folder; give the name of a file")
    if forms and path.suffix.lower() not in forms:
        raise ValueError(f"--out {out} must end with one of {', '.join(forms)}, which says the form of the file")
    if os.path.lexists(path) and not overwrite:
        raise ValueError(f"--out {out} is there already; give another name, or --overwrite to replace it")
    _check_above(path, out)
    return path


def check_out_folder(out: str | Path) -> None:
    """Raise a `ValueError` for a folder that cannot be created or written to."""
    path = Path(out).expanduser()
    if os.path.lexists(path) and not path.is_dir():
        raise ValueError(f"--out {out} is a file; give a new or empty folder")
    _check_above(path / "any", out)


def _check_above(path: Path, out: str | Path) -> None:
    above = next(folder for folder in path.absolute().parents if os.path.lexists(folder))
    if not above.is_dir():
        raise ValueError(f"--out {out}: {above} is not a folder; give another place")
    if not os.access(above, os.W_OK | os.X_OK):
        raise ValueError(f"--out {out}: {above} cannot be written to; give another place, or change its permissions")


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        OSError: where it cannot be read.
        ValueError: where it holds no JSON, is nested too deeply, or holds something else than an object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise ValueError(f"{path} is damaged ({reason}); remove it or run the command that wrote it again") from None
    if not isinstance(value, dict):
        raise ValueError(
            f"{path} holds a {type(value).__name__} where an object is expected; remove it or write it again"
        )
    return value
