"""The cache folder on disk: where packed stores stand, how one is built so that no half of it is ever seen."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

META = "meta.json"


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


def cache_root() -> Path:
    """`$SELFTAUGHT_CACHE`, or selftaught in the user's cache folder."""
    own = os.environ.get("SELFTAUGHT_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "selftaught"


def stores_root() -> Path:
    """The folder of all packed stores."""
    return cache_root() / "stores"


def find_store(key: str) -> tuple[Path, dict[str, Any]] | None:
    """The folder of the whole store `key` and its meta data, or None."""
    folder = stores_root() / key
    meta = _meta(folder)
    return None if meta is None else (folder, meta)


def find_or_build(key: str, build: Callable[[Path], dict[str, Any]]) -> tuple[Path, dict[str, Any]]:
    """The folder of store `key` and its meta data; `build` fills an empty folder and returns them where it is absent.

    The folder gets its name only when it is whole. Another process that wants the same store waits for the first and
    takes what that built; the lock goes with the process that held it, so a killed one blocks nobody.
    """
    found = find_store(key)
    if found is not None:
        return found
    folder = stores_root() / key
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as refused:
        raise ValueError(
            f"the cache folder {folder.parent} cannot be made ({refused.strerror}); "
            "set the environment variable SELFTAUGHT_CACHE to a folder you may write to"
        ) from refused
    with FileLock(folder.with_name(f".{key}.lock")):
        found = find_store(key)
        if found is not None:
            return found
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
    return folder, meta


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
        # Renamed first, so that nobody opens a store while its files go.
        gone = store.path.with_name(f".{store.key}.{os.getpid()}.part")
        store.path.replace(gone)
        shutil.rmtree(gone, ignore_errors=True)
    return len(removed)


def _meta(folder: Path) -> dict[str, Any] | None:
    try:
        found = json.loads((folder / META).read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
