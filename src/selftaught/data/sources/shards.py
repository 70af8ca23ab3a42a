"""The tar shards of a data set as files: which there are, how large, and which belong to which split."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from fsspec.core import url_to_fs

from selftaught.core.files import digest
from selftaught.data.files.content import fingerprint_of, stat_file
from selftaught.data.files.file_kinds import is_picture, is_video
from selftaught.data.files.file_walk import find_files
from selftaught.data.files.shard_names import shard_splits, short_names
from selftaught.data.files.splits import choose_split
from selftaught.data.sources.tars.tar_stream import Kind, ending_of, holds, tar_samples
from selftaught.data.sources.webdataset import expand

_AT_ONCE = 16
"""Servers are asked for the sizes of so many shards at once."""
_PEEKED = 8
"""Shards that are opened at most to see what samples are."""
_PROBED = 64
"""Images of one shard from which the number of all is estimated."""


@dataclass(frozen=True)
class Shards:
    """Some shards of one data set.

    Attributes:
        data: how they were asked for, for messages.
        urls: paths or fsspec URLs.
        names: short ones, unique.
        sizes: bytes, 0 where a server does not say.
        fingerprint: changes when one of them does.
    """

    data: str
    urls: Sequence[str]
    names: Sequence[str]
    sizes: Sequence[int]
    fingerprint: str

    def __len__(self) -> int:
        return len(self.urls)

    @property
    def is_remote(self) -> bool:
        return any("://" in url for url in self.urls)

    @property
    def is_compressed(self) -> bool:
        return any(ending_of(url) not in (".tar", None) for url in self.urls)

    def first(self, count: int) -> Shards:
        """The first of them."""
        return replace(self, urls=self.urls[:count], names=self.names[:count], sizes=self.sizes[:count])

    def part(self, split: str, *, held_out: float) -> Shards:
        """The shards of "train" or "held_out": by their folders or names, else a seeded share of whole shards.

        Raises:
            ValueError: for a single shard, as none can be held out.
        """
        own = shard_splits(self.names)
        given = dict(zip(self.names, own, strict=True)) if any(own) else None
        rows = choose_split(self.names, given, split=split, seed=0, held_out=held_out)
        if not rows:
            raise ValueError(
                f"{self.data} is {len(self)} shard{'s' * (len(self) != 1)}, none of them for the "
                f"{split.replace('_', '-')} part, as shards read in order are held out whole; give more shards "
                "or plain .tar files, which --stream never packs"
            )
        names = [self.names[i] for i in rows]
        return Shards(
            data=self.data,
            urls=[self.urls[i] for i in rows],
            names=names,
            sizes=[self.sizes[i] for i in rows],
            fingerprint=digest([self.fingerprint, *names]),
        )

    @cached_property
    def holds(self) -> frozenset[Kind]:
        """What the first sample has, of the first shard with samples; see `tars.tar_stream.holds`."""
        for url in self.urls[:_PEEKED]:
            with suppress(OSError):
                if found := holds(url):
                    return found
        return frozenset()

    def kind_for(self, needs: frozenset[str]) -> Kind | None:
        """Which members are the samples of a task with these needs; None where they have none that serve it."""
        if needs & {"video", "audio"} and "video" not in self.holds:
            return "still" if "audio" in needs and "still" in self.holds else None
        if needs & {"video", "audio"}:
            return "video"
        kinds: tuple[Kind, ...] = ("image", "video", "array")
        return next((kind for kind in kinds if kind in self.holds), "image")

    def about(self) -> int:
        """Estimate of the number of images, from the first ones of the first shard that has some."""
        kind = self.kind_for(frozenset({"image"})) or "image"
        for url in self.urls:
            count = end = 0
            for number, sample in enumerate(tar_samples(url, kind=kind), start=1):
                count, end = number, sample.end
                if count == _PROBED:
                    break
            if count:
                return estimate(count, end, self)
        return 0


def estimate(count: int, end: int, shards: Shards) -> int:
    """Number of images of `shards` where `count` images took `end` bytes, at least one; `count` for sizes unknown."""
    return max(1, sum(round(size * count / end) if size else count for size in shards.sizes))


def find_shards(data: str) -> Shards | None:
    """The shards that a path, glob, folder or URL with {000..005} names; None where it is something else.

    Raises:
        ValueError: where one of them is not there.
    """
    urls = _urls(data)
    if not urls:
        return None
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = list(pool.map(_size_and_stamp, urls))
    names = short_names(urls)
    return Shards(data, urls, names, [size for size, _ in found], digest([stamp for _, stamp in found]))


def _urls(data: str) -> list[str]:
    if ending_of(data) is not None and not Path(data).expanduser().is_dir():
        return expand(data, is_streamed=True)
    folder = Path(os.path.expanduser(data))  # noqa: PTH111 - a URL is no path
    if "://" in data or not folder.is_dir():
        return []
    if not any(ending_of(path.name) for pattern in ("*.t*", "*/*.t*") for path in folder.glob(pattern)):
        return []
    keys = [file.key for file in find_files(folder)]
    if any(is_picture(key) or is_video(key) or key.lower().endswith((".parquet", ".arrow")) for key in keys):
        return []
    return [str(folder / key) for key in sorted(keys) if ending_of(key) is not None]


def _size_and_stamp(url: str) -> tuple[int, str]:
    if "://" not in url:
        file = stat_file(url, Path(url).name)
        return file.size, fingerprint_of([file])
    try:
        files, path = url_to_fs(url)
        info = files.info(path)
    except ImportError as absent:
        raise ValueError(f"{url}: {absent}; install the fsspec package for this kind of URL") from None
    except Exception as refused:
        raise ValueError(f"{url} cannot be opened: {refused or type(refused).__name__}") from None
    versions = [str(info.get(name)) for name in ("size", "ETag", "etag", "LastModified", "mtime", "created")]
    return int(info.get("size") or 0), ":".join([url.rpartition("/")[2], *versions])
