"""The first images of some shards, kept in memory for repeated use, such as held-out ones."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import final

import numpy as np

from selftaught.core.files import cache_root, digest
from selftaught.core.names import one_line
from selftaught.data.decode.fit import fit
from selftaught.data.decode.image import Decoding, Payload
from selftaught.data.sources.base import Entry, Source
from selftaught.data.sources.shards import Shards
from selftaught.data.sources.tars.tar_stream import tar_samples
from selftaught.data.store.image_pack import PackedIndex, reason
from selftaught.data.store.image_samples import LiveImages


@final
class FirstImages(Source):
    """Images in memory, as a source.

    Attributes:
        end: bytes of tars that were read for them.
    """

    def __init__(
        self, name: str, fingerprint: str, keys: Sequence[str], payloads: Sequence[Payload], *, end: int = 0
    ) -> None:
        self.name, self.fingerprint, self.end = name, fingerprint, end
        self.provides = frozenset({"image"})
        self.classes = None
        self.entries = [Entry(key) for key in keys]
        self.skipped: list[tuple[str, str]] = []
        self._payloads = payloads

    def read(self, i: int) -> Payload:
        return self._payloads[i]


def first_images(shards: Shards, count: int) -> FirstImages:
    """About `count` encoded images: the first ones of each shard, equally many of each where there are as many.

    Raises:
        ValueError: if none has an image.
    """
    keys: list[str] = []
    payloads: list[Payload] = []
    skipped: list[tuple[str, str]] = []
    each, end = -(-count // len(shards)), 0
    for url, name in zip(shards.urls[:count], shards.names, strict=False):
        last = 0
        try:
            for number, sample in enumerate(tar_samples(url), start=1):
                key, last = f"{name}/{sample.key}".rstrip("/"), sample.end
                if isinstance(sample.payload, bytes):
                    keys.append(one_line(key))
                    payloads.append(sample.payload)
                else:
                    skipped.append((key, reason(sample.payload)))
                if number == each:
                    break
        except OSError as gone:
            if "://" in url:
                raise ValueError(f"{url} cannot be read: {gone or type(gone).__name__}") from None
            skipped.append((name, reason(gone)))
        end += last
    if not payloads:
        why = "".join(f" ({key}: {text})" for key, text in skipped[:1])
        raise ValueError(f"{shards.data} holds no images in {len(shards)} of its shards{why}; give shards of images")
    found = FirstImages(shards.data, digest([shards.fingerprint, str(count)]), keys, payloads, end=end)
    found.skipped = skipped
    return found


def in_memory(source: FirstImages, *, side: int, decoding: Decoding, workers: int) -> LiveImages:
    """The readable images of a source, decoded once, as samples.

    Raises:
        ValueError: if none can be decoded.
    """

    def decoded(i: int) -> Payload | str:
        try:
            return fit(source.read(i), side=side, decoding=decoding)
        except (OSError, ValueError) as broken:
            return reason(broken)

    with ThreadPoolExecutor(workers) as pool:
        found = list(pool.map(decoded, range(len(source))))
    good = [(i, pixels) for i, pixels in enumerate(found) if isinstance(pixels, np.ndarray)]
    skipped = [(source.entries[i].key, why) for i, why in enumerate(found) if isinstance(why, str)]
    if not good:
        raise ValueError(f"none of the first {len(source)} images of {source.name} can be read; {skipped[0][1]}")
    keys = [source.entries[i].key for i, _ in good]
    kept = FirstImages(source.name, source.fingerprint, keys, [pixels for _, pixels in good])
    kept.skipped = list(source.skipped)
    heights, widths = np.array([pixels.shape[:2] for _, pixels in good], np.int64).T
    index = PackedIndex(np.arange(len(good), dtype=np.int64), heights, widths, skipped)
    maps = cache_root() / "held_out" / kept.fingerprint  # nothing is written to it unless a program computes some
    return LiveImages(kept, index, side=side, decoding=decoding, folder=maps, workers=1)
