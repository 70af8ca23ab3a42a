"""Packed stores over time: opened where they are whole, built with room made for them, pruned when of no use."""

from __future__ import annotations

import dataclasses
import errno
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from selftaught.core.progress import say_once
from selftaught.data.store.cache import (
    DAMAGE,
    META,
    StoreInfo,
    clean_rests,
    clear_stores,
    drop_damaged,
    find_or_build,
    find_store,
    is_in_use,
    list_stores,
    remove_store,
)

if TYPE_CHECKING:
    from selftaught.data.sources.base import Source
    from selftaught.data.store.stored_frames import StoredFrames

_FILES = "files.json"
GONE, CHANGED, PRESENT, UNKNOWN = "gone", "changed", "as packed", ""

Opened = TypeVar("Opened")
PACKED_OR_NOT = MappingProxyType({"packed": 1.0, "index": 0.0})
"""Ways of keeping a store, best first, and the share of its estimated bytes that each needs."""


def kept_as(size: float, limit: float, shares: Mapping[str, float] = PACKED_OR_NOT) -> str:
    """The first way of keeping a store whose share of `size` is within the `limit`, both in bytes."""
    return next(kind for kind, share in shares.items() if share * size <= limit)


def open_kept(
    keys: Mapping[str, str],
    limit: float,
    opened: Callable[[Path, dict[str, Any]], Opened],
    shares: Mapping[str, float] = PACKED_OR_NOT,
) -> Opened | None:
    """The store of one of these keys as `opened` gives it; None where there is none for this limit.

    All keep the estimate they were chosen by, so that the choice is the same the next time. `opened` raises one of
    `DAMAGE` where something is not there: the store is then removed.
    """

    def chosen(folder: Path, meta: dict[str, Any]) -> Opened | None:
        return opened(folder, meta) if kept_as(meta["estimated_bytes"], limit, shares) == kind else None

    for kind in shares:
        if (found := open_whole(keys[kind], chosen)) is not None:
            return found
    return None


def open_whole(key: str, opened: Callable[[Path, dict[str, Any]], Opened]) -> Opened | None:
    """The store of this key as `opened` gives it; None where there is none.

    `opened` raises one of `DAMAGE` where something is not there: the store is then removed.
    """
    found = find_store(key)
    if found is None:
        return None
    try:
        return opened(*found)
    except DAMAGE:
        drop_damaged(found[0])
        return None


def build_kept(
    source: Source,
    keys: Mapping[str, str],
    build: Callable[[Path], dict[str, Any]],
    *,
    size: float,
    limit: float,
    shares: Mapping[str, float] = PACKED_OR_NOT,
) -> tuple[Path, dict[str, Any]]:
    """`find_or_build` of the store, kept as well as the `limit` allows where whole it takes `size`, both in bytes."""
    kind = kept_as(size, limit, shares)
    needed = shares[kind] * size
    if needed:
        make_room(needed, limit, keep=keys[kind])
    if stale := stale_at(source):
        say_once(_stale_note(stale))
    with disk_may_be_full(f"the packed store of {source.name}", needed, "lower --cache-limit to decode while training"):
        return find_or_build(keys[kind], build)


def build_beside(
    stored: StoredFrames,
    key: str,
    fill: Callable[[Path], Mapping[str, Any]],
    *,
    kind: str,
    side: int,
    size: int,
    limit: float,
) -> tuple[Path, dict[str, Any]]:
    """`find_or_build` of maps of all frames of a store; `fill` writes them and gives further metadata.

    Args:
        kind: what they are called, in the plural.
        side: of the samples, pixels.
        size: bytes of the maps, at most `limit`.
    """
    make_room(size, limit, keep=key)

    def build(folder: Path) -> dict[str, Any]:
        known = {"kind": kind, "data": stored.data, "samples": len(stored), "side": side}
        return {**known, **fill(folder), **copy_origin(stored.folder, folder)}

    with disk_may_be_full(f"the {kind} of {stored.data}", size, "remove stores with `selftaught cache --clear`"):
        return find_or_build(key, build)


@contextmanager
def disk_may_be_full(what: str, size: float, advice: str) -> Iterator[None]:
    """A full disk becomes a sentence that says how many bytes `what` needs, and what to do."""
    try:
        yield
    except OSError as refused:
        if refused.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ValueError(
            f"{what} needs about {size / 1e9:.1f} GB and the disk is full; "
            f"{advice}, or set SELFTAUGHT_CACHE to a larger disk"
        ) from refused


def note_origin(source: Source, folder: Path) -> dict[str, Any]:
    """Where the data of a store are, from its metadata; the names of the files go into `folder`."""
    place, keys = _where(source)
    if place is None:
        return {}
    (folder / _FILES).write_text(json.dumps(keys))
    return {"place": str(place), "proof": _proof(place, keys)}


def copy_origin(store: Path, folder: Path) -> dict[str, Any]:
    """The same of what is computed from the frames of `store`, whose data are its own."""
    meta = json.loads((store / META).read_text())
    with suppress(FileNotFoundError):
        shutil.copyfile(store / _FILES, folder / _FILES)
    return {"of": store.name} | {name: meta[name] for name in ("place", "proof") if name in meta}


def state_of(store: StoreInfo) -> str:
    """Whether the data of a store are still there and as they were packed; unknown where they are no local files."""
    if store.of and not (store.path.with_name(store.of) / META).is_file():
        return GONE
    if not store.place:
        return UNKNOWN
    place = Path(store.place)
    try:
        if not place.exists():
            return GONE
        keys = json.loads((store.path / _FILES).read_text())
        return PRESENT if _proof(place, keys) == store.proof else CHANGED
    except FileNotFoundError:
        return CHANGED
    except (OSError, ValueError, TypeError, RecursionError):
        return UNKNOWN


def known_stores() -> list[StoreInfo]:
    """All whole stores with their state."""
    return [dataclasses.replace(store, state=state_of(store)) for store in list_stores()]


def stale_at(source: Source) -> list[StoreInfo]:
    """Stores of the same place whose data have changed since."""
    place, _ = _where(source)
    if place is None:
        return []
    return [store for store in list_stores() if store.place == str(place) and state_of(store) == CHANGED]


def prune_stores() -> list[StoreInfo]:
    """Remove the stores whose data are gone or have changed and which nobody reads; those that were removed."""
    useless = [s for s in known_stores() if s.state in (GONE, CHANGED) and not is_in_use(s.path)]
    for store in useless:
        remove_store(store)
    return useless


def list_or_remove(keys: Sequence[str], *, clear: bool, prune: bool) -> list[dict[str, Any]]:
    """The stores whose keys begin with one of these, or all, as `selftaught.cache` lists, clears or prunes them."""
    if prune:
        if clear or keys:
            raise ValueError("--prune chooses the stores itself; leave out --clear and the keys")
        clean_rests()
        return [vars(store) | {"path": str(store.path), "removed": True} for store in prune_stores()]
    stores = [store for store in known_stores() if not keys or store.key.startswith(tuple(keys))]
    if clear and (stores or keys):
        clear_stores(keys or None)
    return [vars(store) | {"path": str(store.path), "removed": clear} for store in stores]


def make_room(needed: float, limit: float, *, keep: str) -> None:
    """Remove stores, least lately used first, until `needed` more bytes keep all of them together within `limit`.

    A store that a process reads stays, so that less may be removed than is needed.
    """
    stores = [store for store in list_stores() if store.key != keep]
    total = needed + sum(store.bytes for store in stores)
    for store in sorted(stores, key=lambda store: (store.used, store.key)):
        if total <= limit:
            return
        if store.bytes and not is_in_use(store.path):
            remove_store(store)
            total -= store.bytes


def _stale_note(stores: Sequence[StoreInfo]) -> str:
    """What is to be said of them."""
    many = "1 packed store" if len(stores) == 1 else f"{len(stores)} packed stores"
    size = sum(store.bytes for store in stores) / 1e6
    return (
        f"{many} ({size:.1f} MB) of {stores[0].data} as it was before it changed stay in the cache; "
        "`selftaught cache --prune` removes what is no longer of use"
    )


def _where(source: Source) -> tuple[Path | None, list[str]]:
    """The folder with the files of the entries, or the one file that holds them all."""
    place = Path(source.name).expanduser()
    with suppress(OSError, ValueError):
        place = place.resolve()
        if place.is_dir():
            keys = [entry.key for entry in source.entries]
            is_there = bool(keys) and (place / keys[0]).is_file() and (place / keys[-1]).is_file()
            return (place, keys) if is_there else (None, [])
        for file in (place, *place.parents):
            if file.is_file():
                return file, []
    return None, []


def _proof(place: Path, keys: Sequence[str]) -> str:
    from selftaught.data.files.content import fingerprint_of, stat_file

    if not keys:
        return fingerprint_of([stat_file(str(place), place.name)])
    return fingerprint_of([stat_file(str(place / key), key) for key in keys])
