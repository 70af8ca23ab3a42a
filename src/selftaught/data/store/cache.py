"""The cache folder on disk: where packed stores stand, how one is built so that no half of it is ever seen."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any

from filelock import FileLock, Timeout

from selftaught.core.files import cache_root
from selftaught.core.own_folder import mark
from selftaught.data.decode.npz_damage import NPZ_DAMAGE

try:
    fcntl: Any = importlib.import_module("fcntl")
except ImportError:  # Windows
    fcntl = None

META = "meta.json"
DAMAGE = (*NPZ_DAMAGE, SyntaxError, TokenError, TypeError, IndexError)
"""What reading a damaged store raises."""
_DAY = 86_400.0
_HELD: dict[Path, int] = {}
"""Stores this process has open, with the descriptor that says so to others."""


@dataclass(frozen=True, kw_only=True)
class StoreInfo:
    """One packed store, as `selftaught cache` lists it."""

    key: str
    path: Path
    bytes: int
    kind: str
    """What is packed: "images", "videos" ..."""
    data: str
    """The path or name the data were opened by."""
    samples: int
    side: int
    """Pixels of the short side."""
    built: float
    """Seconds since the epoch."""
    used: float = 0.0
    """When it was last opened."""
    place: str = ""
    """The folder or file that holds the data, "" where they are no local files."""
    proof: str = ""
    """Of the files' content as it was packed."""
    of: str = ""
    """Key of the store whose frames it was computed from, "" for a packed one."""
    state: str = ""
    """Whether the data are there: "as packed", "changed", "gone" or unknown."""


def stores_root(cache: Path | None = None) -> Path:
    """The folder of all packed stores of a cache folder; the user's unless given."""
    return (cache or cache_root()) / "stores"


def find_store(key: str) -> tuple[Path, dict[str, Any]] | None:
    """The folder of the whole store `key` and its meta data, or None."""
    folder = stores_root() / key
    meta = _meta(folder)
    if meta is None:
        return None
    with suppress(OSError):
        _lock_of(folder).unlink()  # of a builder killed before it could; who waits for it finds the store
    _hold(folder)
    return folder, meta


def drop_damaged(folder: Path) -> None:
    """Remove a store that turned out not to be whole, so that it is built again."""
    _let_go(folder)
    _remove(folder)


def find_or_build(key: str, build: Callable[[Path], dict[str, Any]]) -> tuple[Path, dict[str, Any]]:
    """The folder of store `key` and its meta data; `build` fills an empty folder and returns them where it is absent.

    The folder gets its name only when it is whole. Another process that wants the same store waits for the first and
    takes what that built; the lock goes with the process that held it, so a killed one blocks nobody.
    """
    found = find_store(key)
    if found is not None:
        return found
    folder = stores_root() / key
    with _locked(folder):
        found = find_store(key)
        if found is not None:
            return found
        clean_rests()
        for left in folder.parent.glob(f".{key}.*.part"):
            shutil.rmtree(left, ignore_errors=True)
        part = Path(tempfile.mkdtemp(prefix=f".{key}.", suffix=".part", dir=folder.parent))
        try:
            meta = {"built": time.time(), **build(part)}
            (part / META).write_text(json.dumps(meta))
            shutil.rmtree(folder, ignore_errors=True)
            part.replace(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    _hold(folder)
    return folder, meta


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Alone with the store that will be `folder`; the lock's file goes with the lock."""
    lock = FileLock(_lock_of(folder))
    try:
        mark(cache_root(), "cache")
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as refused:
        raise ValueError(
            f"the cache folder {folder.parent} cannot be written to ({refused.strerror}); "
            "set the environment variable SELFTAUGHT_CACHE to a folder you may write to"
        ) from refused
    try:
        yield
    finally:
        with suppress(OSError):
            # Who waits for it still gets it, and finds the store.
            Path(lock.lock_file).unlink()
        lock.release()


def clean_rests() -> None:
    """Remove what killed processes left half built."""
    for lock in stores_root().glob(".*.lock"):
        with suppress(OSError, Timeout), FileLock(lock, timeout=0):
            for left in lock.parent.glob(f"{lock.stem}.*.part"):
                shutil.rmtree(left, ignore_errors=True)
            lock.unlink()
    for left in stores_root().glob(".*.part"):
        if left.suffixes[-2].removeprefix(".").isdigit():  # named by `_remove`, which was cut short
            shutil.rmtree(left, ignore_errors=True)


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")


def is_in_use(folder: Path) -> bool:
    """Whether a process, this one too, has the store open."""
    if fcntl is None:
        return _last_used(folder) > time.time() - _DAY
    try:
        handle = os.open(folder / META, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def _hold(folder: Path) -> None:
    """Mark the store as used now, and as in use until the process ends."""
    with suppress(OSError):
        os.utime(folder / META)
    if fcntl is None or folder in _HELD:
        return
    with suppress(OSError):  # a file system without locks: only the time of use decides
        handle = os.open(folder / META, os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        _HELD[folder] = handle


def _let_go(folder: Path) -> None:
    handle = _HELD.pop(folder, None)
    if handle is not None:
        os.close(handle)


def _last_used(folder: Path) -> float:
    try:
        return (folder / META).stat().st_mtime
    except OSError:
        return 0.0


def list_stores() -> list[StoreInfo]:
    """All whole stores, oldest first."""
    stores = []
    for folder in stores_root().glob("[!.]*"):
        meta = _meta(folder)
        if meta is not None:
            size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
            stores.append(
                StoreInfo(
                    key=folder.name,
                    path=folder,
                    bytes=size,
                    kind=str(meta.get("kind", "?")),
                    data=str(meta.get("data", "?")),
                    samples=int(meta.get("samples", 0)),
                    side=int(meta.get("side", 0)),
                    built=float(meta.get("built", 0.0)),
                    used=_last_used(folder),
                    place=str(meta.get("place", "")),
                    proof=str(meta.get("proof", "")),
                    of=str(meta.get("of", "")),
                )
            )
    return sorted(stores, key=lambda store: (store.built, store.key))


def clear_stores(keys: Sequence[str] | None = None) -> int:
    """Remove the stores named by `keys` (or by a beginning of theirs), or all; how many were removed.

    A run that reads a store goes on: the files vanish when it lets go of them.
    """
    stores = list_stores()
    known = [store.key for store in stores]
    for key in keys or ():
        if not any(name.startswith(key) for name in known):
            raise ValueError(f"no packed store {key!r}; known: {', '.join(known) or 'none'}")
    removed = [s for s in stores if keys is None or any(s.key.startswith(key) for key in keys)]
    for store in removed:
        remove_store(store)
    return len(removed)


def remove_store(store: StoreInfo) -> None:
    """Remove one store and what was computed from it; who reads it goes on."""
    for path in (store.path, *(other.path for other in list_stores() if other.of == store.key)):
        _let_go(path)
        _remove(path)


def _remove(folder: Path) -> None:
    # Renamed first, so that nobody opens a store while its files go.
    gone = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    with suppress(FileNotFoundError):
        folder.replace(gone)
    shutil.rmtree(gone, ignore_errors=True)


def _meta(folder: Path) -> dict[str, Any] | None:
    try:
        found = json.loads((folder / META).read_text())
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
