"""WebDataset tars: local ones are read by offset, remote ones (any fsspec URL) streamed."""

from __future__ import annotations

import glob
import json
import os
import re
import tarfile
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, final

import fsspec
import numpy as np
from fsspec.core import url_to_fs

from selftaught.decode import Unreadable
from selftaught.sources.base import Entry, Payload, Source, digest
from selftaught.sources.image_folder import is_picture
from selftaught.sources.parquet import number_labels
from selftaught.sources.splits import choose_split, given_split, own_part
from selftaught.store_folder import cache_root


@dataclass
class _Shard:
    """Where the pictures of one tar stand; all lists are equally long, `labels` has "" where there is none."""

    url: str
    keys: list[str]
    offsets: list[int]
    sizes: list[int]
    labels: list[str]


@final
class WebDataset(Source):
    """One split of some shards; a sample is the members that share a name up to the first dot."""

    def __init__(self, shards: list[_Shard], entries: list[Entry], places: list[tuple[int, int]], stamp: str) -> None:
        self.entries = entries
        self.classes = None
        self.provides = frozenset({"image"})
        self.fingerprint = digest([stamp, *(entry.key for entry in entries)])
        self.random_access = all(_is_local(shard.url) for shard in shards)
        self._shards, self._places = shards, places
        self._open: dict[int, int] = {}

    def read(self, i: int) -> bytes:
        number, at = self._places[i]
        shard = self._shards[number]
        start, size = shard.offsets[at], shard.sizes[at]
        if _is_local(shard.url):
            data = os.pread(self._descriptor(number), size, start)
        else:
            data = url_to_fs(shard.url)[0].cat_file(url_to_fs(shard.url)[1], start, start + size)
        if len(data) < size:
            raise Unreadable(f"cut off in {Path(shard.url).name}")
        return bytes(data)

    def iterate(self) -> Iterator[tuple[int, Payload | Exception]]:
        wanted = {place: i for i, place in enumerate(self._places)}
        for number, shard in enumerate(self._shards):
            with fsspec.open(shard.url, "rb") as stream:
                for at in np.argsort(shard.offsets, kind="stable").tolist():
                    i = wanted.get((number, at))
                    if i is None:
                        continue
                    stream.seek(shard.offsets[at])
                    data = stream.read(shard.sizes[at])
                    yield i, data if len(data) == shard.sizes[at] else Unreadable(f"cut off in {Path(shard.url).name}")

    def _descriptor(self, number: int) -> int:
        # Two threads may open the same shard at once; the second descriptor lives as long and does no harm.
        if number not in self._open:
            self._open[number] = os.open(self._shards[number].url, os.O_RDONLY)
            weakref.finalize(self, os.close, self._open[number])
        return self._open[number]


def open_webdataset(data: str, *, split: str, needs: frozenset[str], seed: int, held_out: float) -> WebDataset:
    """One split of the shards that `data` names; shards named train*, val* or test* are that split.

    Args:
        data: path, glob or URL, where {000..005} stands for the numbers from 000 to 005.
        split: "train", "held_out" or "test".
        needs: what the task or probe asks for.
        seed: of the share that is held out where the data have no splits.
        held_out: that share.
    """
    urls = _expand(data)
    stamps = [_stamp(url) for url in urls]
    shards = [_index(url, stamp) for url, stamp in zip(urls, stamps, strict=True)]
    places = [(number, at) for number, shard in enumerate(shards) for at in range(len(shard.keys))]
    keys = [f"{Path(shards[number].url).name}/{shards[number].keys[at]}" for number, at in places]
    if not keys:
        raise ValueError(f"{data} holds no pictures in its {len(urls)} tar files")
    named = [given_split(Path(shard.url).stem) or "" for shard in shards]
    given = {key: named[number] for key, (number, _) in zip(keys, places, strict=True)}
    chosen = choose_split(
        keys, given, split=split, seed=seed, held_out=held_out, labelled_only=bool(needs & {"label", "labels"})
    )
    texts = [shards[number].labels[at] or None for number, at in places]
    labels, classes = _numbers(texts)
    entries = [Entry(keys[i], labels[i]) for i in chosen]
    source = WebDataset(shards, entries, [places[i] for i in chosen], digest(stamps))
    source.part = own_part(keys, given, split)
    if classes is not None:
        source.classes = classes
        source.provides = frozenset({"image", "label"})
    return source


def _numbers(texts: Sequence[str | None]) -> tuple[list[int | None], tuple[str, ...] | None]:
    present = [text for text in texts if text is not None]
    if not present:
        return [None] * len(texts), None
    if all(re.fullmatch(r"-?\d+", text) for text in present):
        return number_labels([None if text is None else int(text) for text in texts], names=None)
    return number_labels(texts, names=None)


def _expand(data: str) -> list[str]:
    """The shards that a path, glob or URL with {000..005} names."""
    if data.endswith((".gz", ".tgz", ".bz2", ".xz", ".zst")):
        raise ValueError(f"{data} is a compressed tar, which cannot be read at any place; unpack it to a plain .tar")
    urls = [data]
    while match := re.search(r"\{(\d+)\.\.(\d+)\}", urls[0]):
        first, last, width = int(match[1]), int(match[2]), len(match[1])
        spelled = match[0]
        urls = [url.replace(spelled, f"{n:0{width}d}", 1) for url in urls for n in range(first, last + 1)]
    found = []
    for url in urls:
        matches = sorted(glob.glob(url)) if _is_local(url) and glob.has_magic(url) else [url]  # noqa: PTH207
        found.extend(matches)
    absent = [url for url in found if _is_local(url) and not Path(url).is_file()]
    if absent or not found:
        raise ValueError(f"no tar file {(absent or [data])[0]}; give paths, {{000..005}} ranges or URLs of .tar files")
    return found


def _is_local(url: str) -> bool:
    return "://" not in url


def _stamp(url: str) -> str:
    """What changes when a shard does."""
    if _is_local(url):
        stat = Path(url).stat()
        return f"{Path(url).resolve()}:{stat.st_size}:{stat.st_mtime_ns}"
    try:
        files, path = url_to_fs(url)
        info = files.info(path)
    except ImportError as absent:
        raise ValueError(f"{url}: {absent}; install the fsspec package for this kind of URL") from None
    except (OSError, ValueError) as refused:
        raise ValueError(f"{url} cannot be opened: {refused or type(refused).__name__}") from None
    versions = [str(info.get(name)) for name in ("size", "ETag", "etag", "LastModified", "mtime", "created")]
    return ":".join([url, *versions])


def _index(url: str, stamp: str) -> _Shard:
    """Offsets of the pictures of a shard, kept in the cache folder: walking a tar of 100,000 members takes seconds."""
    kept = cache_root() / "indexes" / f"{digest(['tar 1', stamp])}.json"
    try:
        return _Shard(url, *json.loads(kept.read_text()))
    except (OSError, ValueError, TypeError):
        pass
    with fsspec.open(url, "rb") as stream:
        try:
            shard = _walk(url, stream)
        except tarfile.ReadError as broken:
            raise ValueError(f"{url} is not a tar archive ({broken})") from None
    kept.parent.mkdir(parents=True, exist_ok=True)
    part = kept.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps([shard.keys, shard.offsets, shard.sizes, shard.labels]))
    part.replace(kept)
    return shard


def _walk(url: str, stream: IO[bytes]) -> _Shard:
    shard = _Shard(url, [], [], [], [])
    labels: dict[str, str] = {}
    with tarfile.open(fileobj=stream, mode="r:") as archive:
        try:
            for member in archive:
                if not member.isfile() or Path(member.name).name.startswith("."):
                    continue
                stem = _sample_name(member.name)
                if is_picture(member.name):
                    shard.keys.append(member.name)
                    shard.offsets.append(member.offset_data)
                    shard.sizes.append(member.size)
                elif member.name.endswith((".cls", ".json")):
                    content = archive.extractfile(member)
                    label = _label(member.name, content.read() if content else b"")
                    if label is not None:
                        labels[stem] = label
        except tarfile.ReadError:
            if not shard.keys:
                raise
            # A download that stopped: what came before the break is whole.
    return replace(shard, labels=[labels.get(_sample_name(key), "") for key in shard.keys])


def _sample_name(member: str) -> str:
    folder, _, name = member.rpartition("/")
    return f"{folder}/{name.split('.', 1)[0]}"


def _label(member: str, content: bytes) -> str | None:
    """The class of a .cls file (its text) or of a .json file (its label, cls or class)."""
    text = content.decode("utf-8", "replace").strip()
    if member.endswith(".cls"):
        return text or None
    try:
        values: Any = json.loads(text)
    except ValueError:
        return None
    if not isinstance(values, dict):
        return None
    found = next((values[name] for name in ("label", "cls", "class") if name in values), None)
    return str(found) if isinstance(found, str | int) else None
