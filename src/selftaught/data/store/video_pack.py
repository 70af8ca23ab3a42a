"""Packing: every video decoded once, frames and sound appended to a pair of flat files for each thread."""

from __future__ import annotations

import math
from array import array
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from selftaught.data.decode.fit import MAX_ASPECT
from selftaught.data.decode.frame_sequence import FrameSequence
from selftaught.data.decode.image import MIN_SIDE, encode_jpeg
from selftaught.data.decode.shots import Looks
from selftaught.data.decode.video import SOUND_RATE, Box, Header, Video, decode_sound, read_header, track_of
from selftaught.data.decode.video_frames import decode_frames, frame_period, seal_of, times_of
from selftaught.data.files.file_tree import PARTLY_USED, Unreadable
from selftaught.data.store.image_pack import one_opencv_thread
from selftaught.data.store.video_index import VideoIndex

if TYPE_CHECKING:
    from selftaught.data.store.samples import Progress

FRAMES, SOUND, INDEX = "frames-{}.bin", "sound-{}.bin", "index.npz"

_FIRST = 8
"""Frames in which bars were looked for when the video is begun again without them."""
_LISTED = 3
"""Damaged stretches that are named one by one."""

QUIET = 33
"""A track whose loudest sample is quieter, at a full scale of 32768, is silent: 60 dB below it."""

_SHARE, _LATE = 0.9, 0.5
"""Of the stated length, and seconds: a video that is shorter by both is cut off."""

Skipped = list[tuple[int, str]]
"""(index of the entry, reason)"""


@dataclass(kw_only=True)
class Packed:
    """One video as it stands in the store, or in its container where nothing is packed."""

    entry: int
    height: int
    width: int
    box: Box
    times: NDArray[np.float64]
    seals: NDArray[np.int64]
    segments: list[tuple[int, int]]
    """First frame and the one after the last of each stretch."""
    begin: float
    sound_start: float = 0.0
    sound_samples: int = 0
    loudest: int = 0
    """Of the samples of its sound, by amount."""
    shard: int = -1
    frame_offset: int = 0
    sound_offset: int = 0
    lengths: NDArray[np.int64]
    """Bytes of each packed frame."""
    note: str | None = None
    """What of the video is not used, and why."""

    @property
    def is_silent(self) -> bool:
        """Whether it has sound that nobody hears."""
        return bool(self.sound_samples) and self.loudest < QUIET


class Shard:
    """One thread's pair of files, frames-K.bin (uint8) and sound-K.bin (int16); none where only the index is kept."""

    def __init__(self, number: int, folder: Path | None, files: ExitStack, *, is_jpeg: bool = False) -> None:
        self.number = number
        self.is_jpeg = is_jpeg
        self.frames: BinaryIO | None = None
        self.sound: BinaryIO | None = None
        if folder is not None:
            self.frames = files.enter_context((folder / FRAMES.format(number)).open("wb"))
            self.sound = files.enter_context((folder / SOUND.format(number)).open("wb"))

    @property
    def position(self) -> tuple[int, int]:
        """Bytes written so far."""
        return (self.frames.tell(), self.sound.tell()) if self.frames and self.sound else (0, 0)

    def add_frame(self, frame: NDArray[np.uint8]) -> int:
        """How many bytes were written."""
        if self.frames is None:
            return 0
        return self.frames.write(encode_jpeg(frame) if self.is_jpeg else frame.data)

    def add_sound(self, piece: NDArray[np.int16]) -> None:
        if self.sound is not None:
            self.sound.write(np.ascontiguousarray(piece).data)

    def cut(self, position: tuple[int, int]) -> None:
        """Forget what was written after `position`."""
        for file, end in zip((self.frames, self.sound), position, strict=True):
            if file is not None:
                file.seek(end)
                file.truncate()


def read_headers(videos: Sequence[Video], workers: int) -> tuple[dict[int, Header], Skipped]:
    """Headers of the containers that can be opened, by entry, and why the others cannot."""

    def header(video: Video) -> Header | str:
        try:
            return read_header(video)
        except Unreadable as unreadable:
            return str(unreadable)

    with ThreadPoolExecutor(workers) as pool:
        found = dict(enumerate(pool.map(header, videos)))
    readable = {i: h for i, h in found.items() if isinstance(h, Header)}
    return readable, [(i, h) for i, h in found.items() if isinstance(h, str)]


def packed_side(headers: Iterable[Header], side: int) -> int:
    """Short side of stored frames, pixels: no larger than nearly all of the videos are."""
    short = [min(header.height, header.width) for header in headers]
    return min(side, max(MIN_SIDE, round(float(np.percentile(short, 95)))))


def estimated_bytes(headers: Iterable[Header], side: int) -> float:
    """Size of the packed store; containers that do not state a length count as 10 s at 25 frames a second."""
    total = 0.0
    for header in headers:
        aspect = min(MAX_ASPECT, max(header.height, header.width) / min(header.height, header.width))
        total += (header.frames or 250) * side * side * aspect * 3 + header.sound_seconds * SOUND_RATE * 2
    return total


def pack_videos(
    videos: Sequence[Video],
    headers: Mapping[int, Header],
    folder: Path | None,
    *,
    side: int,
    workers: int,
    kept: str,
    progress: Progress | None,
) -> tuple[VideoIndex, Skipped, list[int]]:
    """Decode the videos that have headers; write frames and sound (where wanted) and the index into `folder`, if any.

    The last of the result are the entries whose sound is silent from its beginning to its end.

    `kept` is one of "packed", "jpeg" and "index". The index alone serves decoding on the fly: it says which videos are
    readable and when each frame is shown, so that rows and clips mean the same with and without packed files.
    """
    shards: SimpleQueue[Shard] = SimpleQueue()
    with (
        one_opencv_thread(),
        ExitStack() as files,
        ThreadPoolExecutor(workers, thread_name_prefix="selftaught-pack") as pool,
    ):
        for k in range(workers):
            shards.put(Shard(k, None if kept == "index" else folder, files, is_jpeg=kept == "jpeg"))

        def pack(entry: int) -> Packed | str:
            shard = shards.get()
            try:
                return _pack_one(videos[entry], entry, headers[entry], side, shard)
            except Unreadable as unreadable:
                return str(unreadable)
            finally:
                shards.put(shard)

        futures = [pool.submit(pack, entry) for entry in headers]
        try:
            for done, _ in enumerate(as_completed(futures), 1):
                if progress is not None:
                    progress(done, len(headers))
            index, skipped, silent = _collect((future.result() for future in futures), list(headers))
            if folder is not None:
                index.save(folder / INDEX)
            return index, skipped, silent
        finally:
            for future in futures:
                future.cancel()


def pack_one(video: Video, header: Header, *, side: int, shard: Shard) -> tuple[VideoIndex, str | None, bool]:
    """Decode one video into the files of `shard`: its index, what of it is not used, and whether its sound is silent.

    Raises:
        Unreadable: where no frame of it can be used.
    """
    made = _pack_one(video, 0, header, side, shard)
    return _columns([made]), made.note, made.is_silent


def _collect(videos: Iterable[Packed | str], entries: Sequence[int]) -> tuple[VideoIndex, Skipped, list[int]]:
    readable: list[Packed] = []
    skipped: Skipped = []
    for entry, made in zip(entries, videos, strict=True):
        if isinstance(made, str):
            skipped.append((entry, made))
            continue
        readable.append(made)
        if made.note is not None:
            skipped.append((entry, made.note))
    return _columns(readable), skipped, [one.entry for one in readable if one.is_silent]


@dataclass
class _Taken:
    """What one time of decoding a video finds; compact, as some have a million frames."""

    looks: Looks
    times: array[float] = field(default_factory=lambda: array("d"))
    """NaN where the container states none."""
    seals: array[int] = field(default_factory=lambda: array("q"))
    lengths: array[int] = field(default_factory=lambda: array("q"))
    after_damage: list[int] = field(default_factory=list)
    """Frames before which some are lost."""
    shape: tuple[int, int] = (0, 0)
    broken: str | None = None
    """Why the end is lost."""


def _pack_one(video: Video, entry: int, header: Header, side: int, shard: Shard) -> Packed:
    start = shard.position
    is_drawn = isinstance(video, FrameSequence) and video.is_drawn
    taken = _take(video, side, shard, None, stops_at_bars=not is_drawn)
    box = None if is_drawn else taken.looks.box()
    if box is not None:
        # Bars are known for certain when all frames are seen; those of the first ones are mostly right.
        shard.cut(start)
        taken = _take(video, side, shard, box)
        if (found := taken.looks.box()) != box:
            box = found
            shard.cut(start)
            taken = _take(video, side, shard, box)
    if not taken.times or (taken.broken is not None and len(taken.times) < 2):
        shard.cut(start)
        raise Unreadable(taken.broken or "no frame can be decoded")
    times = np.array(taken.times)
    seconds = times_of(times, frame_period(video) if np.isnan(times).any() else 0.0)
    sound_start, samples, loudest = _append_sound(video, shard) if header.has_sound else (0.0, 0, 0)
    begin = float(seconds[0])
    return Packed(
        entry=entry,
        height=taken.shape[0],
        width=taken.shape[1],
        box=box or (0, 0, 0, 0),
        times=seconds - begin,
        seals=np.array(taken.seals, np.int64),
        segments=[(0, len(times))] if is_drawn else taken.looks.segments(taken.after_damage),
        begin=begin,
        # A file beside the video begins with its first frame.
        sound_start=0.0 if track_of(video) else sound_start - begin,
        sound_samples=samples,
        loudest=loudest,
        shard=shard.number,
        frame_offset=start[0],
        sound_offset=start[1],
        lengths=np.array(taken.lengths, np.int64),
        note=_damage_note(
            seconds - begin,
            taken.after_damage,
            header,
            is_to_the_end=taken.broken is not None,
            gaps=_gaps(video, times, taken.after_damage),
        ),
    )


def _take(video: Video, side: int, shard: Shard, box: Box | None, *, stops_at_bars: bool = False) -> _Taken:
    """Decode a video and write what is in the `box` of its frames; where asked to, until bars are seen in the first."""
    taken = _Taken(Looks(box))
    try:
        for number, one in enumerate(decode_frames(video, side, keep=shard.frames is not None, box=box)):
            taken.looks.add(one.luma, one.black)
            if stops_at_bars and taken.looks.looked_at == _FIRST and taken.looks.box() is not None:
                return taken
            stops_at_bars &= taken.looks.looked_at < _FIRST
            taken.times.append(np.nan if one.time is None else one.time)
            taken.seals.append(seal_of(one.luma))
            if one.is_after_damage:
                taken.after_damage.append(number)
            taken.shape = (one.image.shape[0], one.image.shape[1])
            taken.lengths.append(shard.add_frame(one.image))
    except Unreadable as unreadable:
        taken.broken = str(unreadable)
    return taken


def _gaps(video: Video, times: NDArray[np.float64], after_damage: Sequence[int]) -> set[int]:
    """Those of the frames `after_damage` before which no frame is broken, but its image is not there."""
    if not isinstance(video, FrameSequence) or not video.missing:
        return set()
    place = np.rint(times * video.fps).astype(int)
    return {n for n in after_damage if video.missing.issuperset(range(int(place[n - 1]) + 1, int(place[n])))}


def _damage_note(
    seconds: NDArray[np.float64],
    after_damage: Sequence[int],
    header: Header,
    *,
    is_to_the_end: bool,
    gaps: Collection[int] = (),
) -> str | None:
    """Which stretches are lost: those before the frames `after_damage`, and the end where that is so or it lacks.

    Before the frames `gaps` nothing is damaged, but images are not there.
    """
    period = float(np.median(np.diff(seconds))) if len(seconds) > 1 else 0.0

    def stretches(numbers: Sequence[int], more: Sequence[str] = ()) -> str:
        found = [
            f"from {_tenths(seconds[max(0, number - 1)] + period)} s to {_tenths(seconds[number], up=True)} s"
            for number in numbers
        ] + list(more)
        if len(found) > _LISTED:
            found = [*found[:_LISTED], f"in {len(found) - _LISTED} more places"]
        return ", ".join(found)

    end = [f"from {_tenths(seconds[-1] + period)} s to its end"] if is_to_the_end else []
    damaged = stretches([number for number in after_damage if number not in gaps], end)
    lacking = stretches([number for number in after_damage if number in gaps])
    told = [f"damaged {damaged}"] if damaged else []
    told += [f"without images {lacking}"] if lacking else []
    if told:
        return f"{', '.join(told)}{PARTLY_USED}"
    if seconds[-1] + period < _SHARE * header.seconds - _LATE:
        return f"lacks what follows {seconds[-1] + period:.1f} s of the {header.seconds:.1f} s it states{PARTLY_USED}"
    return None


def _tenths(seconds: float, *, up: bool = False) -> str:
    """Rounded outwards, so that what is lost is in between."""
    tenths = seconds * 10
    return f"{(math.ceil(tenths - 1e-6) if up else math.floor(tenths + 1e-6)) / 10:.1f}"


def _append_sound(video: Video, shard: Shard) -> tuple[float, int, int]:
    """Seconds of the first sample, how many there are, and the amount of the loudest."""
    start, samples, loudest = 0.0, 0, 0
    # What was heard before damage is good; a video without enough of it is refused where sound is needed.
    with suppress(Unreadable):
        for first, piece in decode_sound(video):
            shard.add_sound(piece)
            start, samples = first, samples + len(piece)
            loudest = max(loudest, int(np.abs(piece.astype(np.int32)).max(initial=0)))
    return start, samples, loudest


def _columns(videos: list[Packed]) -> VideoIndex:
    def column(name: str) -> NDArray[np.int64]:
        return np.array([getattr(video, name) for video in videos], np.int64)

    return VideoIndex(
        entry=column("entry"),
        height=column("height"),
        width=column("width"),
        box=np.array([video.box for video in videos], np.int64).reshape(-1, 4),
        frames=np.array([len(video.times) for video in videos], np.int64),
        times=np.concatenate([np.zeros(0), *(video.times for video in videos)]),
        seal=np.concatenate([np.zeros(0, np.int64), *(video.seals for video in videos)]),
        segment_video=np.repeat(np.arange(len(videos)), [len(video.segments) for video in videos]),
        segment_first=np.array([first for video in videos for first, _ in video.segments], np.int64),
        segment_stop=np.array([stop for video in videos for _, stop in video.segments], np.int64),
        begin=np.array([video.begin for video in videos], np.float64),
        sound_start=np.array([video.sound_start for video in videos], np.float64),
        sound_samples=column("sound_samples"),
        shard=column("shard"),
        frame_offset=column("frame_offset"),
        sound_offset=column("sound_offset"),
        length=np.concatenate([np.zeros(0, np.int64), *(video.lengths for video in videos)]),
    )
