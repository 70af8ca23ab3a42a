"""Which packed stores are still of use, and room for new ones: the oldest unused go first, never one that is read."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selftaught.store_folder import StoreInfo, is_in_use, list_stores, remove_store

if TYPE_CHECKING:
    from selftaught.sources.base import Source

_FILES = "files.json"
GONE, CHANGED, PRESENT, UNKNOWN = "gone", "changed", "as packed", ""


def note_origin(source: Source, folder: Path) -> dict[str, Any]:
    """What the meta data of a store say of where its data lie; the names of the files go into `folder`."""
    place, keys = _where(source)
    if place is None:
        return {}
    (folder / _FILES).write_text(json.dumps(keys))
    return {"place": str(place), "proof": _proof(place, keys)}


def state_of(store: StoreInfo) -> str:
    """Whether the data of a store are still there and as they were packed; unknown where they are no local files."""
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
    except (OSError, ValueError, TypeError):
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


def stale_note(stores: Sequence[StoreInfo]) -> str:
    """What is to be said of them."""
    many = "1 packed store" if len(stores) == 1 else f"{len(stores)} packed stores"
    size = sum(store.bytes for store in stores) / 1e6
    return (
        f"{many} ({size:.1f} MB) of {stores[0].data} as it was before it changed stay in the cache; "
        "`selftaught cache --prune` removes what is no longer of use"
    )


def prune_stores() -> list[StoreInfo]:
    """Remove the stores whose data are gone or have changed and which nobody reads; those that were removed."""
    useless = [s for s in known_stores() if s.state in (GONE, CHANGED) and not is_in_use(s.path)]
    for store in useless:
        remove_store(store)
    return useless


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
    from selftaught.sources.content import fingerprint_of, stat_file

    if not keys:
        return fingerprint_of([stat_file(str(place), place.name)])
    return fingerprint_of([stat_file(str(place / key), key) for key in keys])
