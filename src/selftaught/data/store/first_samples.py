"""The first images or videos of some shards, kept for repeated use, such as held-out ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import final

import numpy as np

from selftaught.core.files import cache_root, digest
from selftaught.core.names import one_line
from selftaught.data.batch import Sampling
from selftaught.data.decode.containers.only_image import only_image
from selftaught.data.decode.containers.opening import USUAL_READING, Reading
from selftaught.data.decode.encoded_video import EncodedVideo
from selftaught.data.decode.fit import fit
from selftaught.data.decode.frame_sequence import FrameSequence
from selftaught.data.decode.image import Decoding, Payload
from selftaught.data.decode.video import Header, with_own_sound
from selftaught.data.sources.base import Entry, Source
from selftaught.data.sources.shards import Shards
from selftaught.data.sources.tars.tar_stream import NOUNS, Kind, tar_samples
from selftaught.data.store.image_pack import PackedIndex, reason
from selftaught.data.store.image_samples import LiveImages
from selftaught.data.store.passing_video import header_for
from selftaught.data.store.samples import Progress
from selftaught.data.store.video_pack import pack_videos, packed_side
from selftaught.data.store.video_read import LiveVideos
from selftaught.data.store.video_samples import VideoSamples, headers_of

MOST_BYTES: Mapping[Kind, int] = {"video": 512 << 20, "still": 512 << 20, "image": 2 << 30, "array": 2 << 30}
"""Encoded samples that are kept in memory at most; of videos where their tars cannot be read at any place."""
LEAST_VIDEOS, MOST_SECONDS = 8, 3600.0
"""Of the first videos so many are taken however long they are, and more while they are no longer together."""


@final
class FirstSamples(Source):
    """Encoded images or videos, or images (H, W, C), as a source.

    Attributes:
        end: bytes of tars that were read for them.
        ranks: how many samples are before each in its tar.
    """

    def __init__(
        self,
        name: str,
        fingerprint: str,
        keys: Sequence[str],
        payloads: Sequence[Payload],
        *,
        end: int = 0,
        kind: Kind = "image",
        ranks: Sequence[int] = (),
        reading: Reading = USUAL_READING,
    ) -> None:
        self.name, self.fingerprint, self.end, self.ranks = name, fingerprint, end, ranks
        self.provides = frozenset({"video", "image", "audio"} if kind in ("video", "still") else {"image"})
        self.classes = None
        self.entries = [Entry(key) for key in keys]
        self.skipped: list[tuple[str, str]] = []
        self._payloads, self._reading = payloads, reading

    def read(self, i: int) -> Payload:
        payload = self._payloads[i]
        if isinstance(payload, bytes):
            return only_image(payload, self._reading)
        return with_own_sound(payload) if isinstance(payload, EncodedVideo) else payload

    @property
    def videos(self) -> list[EncodedVideo | FrameSequence]:
        """All of them, where they are videos."""
        return [
            with_own_sound(payload) if isinstance(payload, EncodedVideo) else payload
            for payload in self._payloads
            if isinstance(payload, EncodedVideo | FrameSequence)
        ]


def first_samples(
    shards: Shards, count: int, *, kind: Kind = "image", reading: Reading = USUAL_READING
) -> FirstSamples:
    """About `count` encoded samples: the first ones of each shard, equally many of each where there are as many.

    Fewer of them where they would take more than `MOST_BYTES` of memory.

    Raises:
        ValueError: if none has an image or video.
    """
    keys: list[str] = []
    payloads: list[Payload] = []
    skipped: list[tuple[str, str]] = []
    ranks: list[int] = []
    each, end = -(-count // len(shards)), 0
    most = MOST_BYTES[kind] // min(count, len(shards))
    is_read = kind in ("image", "array") or shards.is_remote or shards.is_compressed
    for url, name in zip(shards.urls[:count], shards.names, strict=False):
        last = 0
        try:
            for number, sample in enumerate(tar_samples(url, kind=kind), start=1):
                key, last = f"{name}/{sample.key}".rstrip("/"), sample.end
                if isinstance(sample.payload, Exception):
                    skipped.append((key, reason(sample.payload)))
                else:
                    keys.append(one_line(key))
                    payloads.append(sample.payload)
                    ranks.append(number)
                if number == each or (is_read and last > most):
                    break
        except OSError as gone:
            if "://" in url:
                raise ValueError(f"{url} cannot be read: {gone or type(gone).__name__}") from None
            skipped.append((name, reason(gone)))
        end += last
    if not payloads:
        why = "".join(f" ({key}: {text})" for key, text in skipped[:1])
        noun = NOUNS[kind]
        raise ValueError(f"{shards.data} holds no {noun}s in {len(shards)} of its shards{why}; give shards of {noun}s")
    known = digest([shards.fingerprint, str(count)])
    found = FirstSamples(shards.data, known, keys, payloads, end=end, kind=kind, ranks=ranks, reading=reading)
    found.skipped = skipped
    return found


def indexed(
    source: FirstSamples, *, side: int, sampling: Sampling, workers: int, progress: Progress | None = None
) -> VideoSamples:
    """The readable videos of a source as samples whose clips are decoded when they are read.

    Of many the first ones of each shard, an hour together. `side` is the largest short side of frames, pixels.

    Raises:
        NothingReadable: if none can be used.
    """
    videos = source.videos
    headers, unopened = headers_of(source, videos, workers, told=f"the first {len(source)} videos")
    headers = {i: header_for(header, sampling) for i, header in _an_hour(source, headers).items()}
    stored = packed_side(headers.values(), side)
    index, broken, silent = pack_videos(
        videos, headers, None, side=stored, workers=workers, kept="index", progress=progress
    )
    live = LiveVideos(index, [videos[i] for i in index.entry.tolist()], stored, workers)
    folder = cache_root() / "held_out" / source.fingerprint  # nothing is written to it
    skipped = [*unopened, *broken]
    return VideoSamples(source, index, skipped, live, sampling, folder, silent=frozenset(silent))


def _an_hour(source: FirstSamples, headers: dict[int, Header]) -> dict[int, Header]:
    """The videos that are looked at, of the first of each shard on."""
    taken, seconds = set[int](), 0.0
    for i in sorted(headers, key=source.ranks.__getitem__):
        seconds += headers[i].seconds or (headers[i].frames or 250) / 25
        if len(taken) >= LEAST_VIDEOS and seconds > MOST_SECONDS:
            break
        taken.add(i)
    return {i: header for i, header in headers.items() if i in taken}


def check_readable(source: FirstSamples, *, side: int, decoding: Decoding) -> None:
    """Refuse images of which none can be decoded; a ValueError says why the first cannot."""
    first = ""
    for i in range(len(source)):
        try:
            fit(source.read(i), side=side, decoding=decoding)
            return
        except (OSError, ValueError) as broken:
            first = first or f"{source.entries[i].key}: {reason(broken)}"
    raise ValueError(f"none of the first {len(source)} images of {source.name} can be read; the first, {first}")


def in_memory(source: FirstSamples, *, side: int, decoding: Decoding, workers: int) -> LiveImages:
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
        why = ": ".join(skipped[0])
        raise ValueError(f"none of the first {len(source)} images of {source.name} can be read; the first, {why}")
    keys = [source.entries[i].key for i, _ in good]
    kept = FirstSamples(source.name, source.fingerprint, keys, [pixels for _, pixels in good])
    kept.skipped = list(source.skipped)
    heights, widths = np.array([pixels.shape[:2] for _, pixels in good], np.int64).T
    index = PackedIndex(np.arange(len(good), dtype=np.int64), heights, widths, skipped)
    maps = cache_root() / "held_out" / kept.fingerprint  # nothing is written to it unless a program computes some
    return LiveImages(kept, index, side=side, decoding=decoding, folder=maps, workers=1)
