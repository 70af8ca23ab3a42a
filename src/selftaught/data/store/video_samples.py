"""Samples of a source of videos: clips and their sound, gathered from packed files or decoded on the fly."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from selftaught.core.files import digest
from selftaught.core.threads import usable_cores
from selftaught.data.decode.encoded_video import EncodedVideo
from selftaught.data.decode.frame_sequence import FrameSequence
from selftaught.data.decode.video import Header, Video
from selftaught.data.inputs import Clip, Image, Sound
from selftaught.data.store.clips import ClipPlan, Place
from selftaught.data.store.samples import HostBatch, NothingReadable
from selftaught.data.store.store_care import build_kept, kept_as, note_origin, open_kept
from selftaught.data.store.stored_frames import StoredFrames
from selftaught.data.store.video_index import VideoIndex
from selftaught.data.store.video_pack import (
    FRAMES,
    INDEX,
    SOUND,
    Skipped,
    estimated_bytes,
    pack_videos,
    packed_side,
    read_headers,
)
from selftaught.data.store.video_read import LiveVideos, PackedVideos

if TYPE_CHECKING:
    from selftaught.data.batch import Sampling
    from selftaught.data.sources.base import Source
    from selftaught.data.store.samples import Progress

_SLOWER = 0.95
"""Of the rate of a clip: a video of fewer frames a second repeats some; 29.97 for 30 is none."""
_FORMAT = "8"
"""Raise it when the bytes of a store or the way frames are scaled change."""


JPEG_SHARE = 1 / 5
"""Of the bytes of raw frames that those as JPEG take at most."""
_KEPT = {"packed": 1.0, "jpeg": JPEG_SHARE, "index": 0.0}
"""How frames are kept, best first: raw, as JPEG of quality 90, not at all; and the share of the raw bytes it takes.

Measured on real videos: 1/6 to 1/9 at 64 pixels, 1/9 to 1/21 at 160.
"""


class VideoSamples:
    """The videos that are long enough for `sampling`, by row; see `store.Samples`.

    `read` gives the inputs of `sampling`. The third draw is the moment: uniform over all there are.

    Attributes:
        num_frames: (M,) frames of each video.
    """

    def __init__(
        self,
        source: Source,
        index: VideoIndex,
        skipped: Skipped,
        videos: PackedVideos | LiveVideos,
        sampling: Sampling,
        folder: Path,
        *,
        silent: frozenset[int] = frozenset(),
    ) -> None:
        self.sampling = sampling
        self.side = videos.side
        self.fingerprint = digest([source.fingerprint, str(self.side), repr(sampling)])
        self._index = index
        self._plan = ClipPlan(index, sampling, silent=np.isin(index.entry, [*silent]))
        self._videos = videos
        self._skipping = threading.Lock()
        self._video = np.array([v for v in range(len(index)) if v not in self._plan.unusable], np.int64)
        self.num_frames = index.frames[self._video]
        self.item_of = self._video
        self.stored = StoredFrames(
            folder=folder,
            data=source.name,
            frames=index.frames,
            times=index.times,
            begin=index.begin,
            box=index.box,
            last=index.last,
            height=index.height,
            width=index.width,
            read=videos.whole,
            some=videos.some,
        )
        self.source_of = index.entry[self._video]
        self.groups = None if source.groups is None else source.groups[self.source_of]
        entries = [source.entries[i] for i in self.source_of]
        self.keys = [entry.key for entry in entries]
        self.classes = source.classes
        self.labels: NDArray[np.int64] | None = None
        if any(entry.label is not None for entry in entries):
            self.labels = np.array([-1 if entry.label is None else entry.label for entry in entries], np.int64)
        short = [(int(index.entry[video]), why) for video, why in self._plan.unusable.items()]
        self.notes: tuple[str, ...] = (*self._notes_of_rate(), *self._notes_of_length(source))
        self.skipped = list(source.skipped)
        self.skipped += [(source.entries[i].key, why) for i, why in sorted([*skipped, *short])]
        if not len(self):
            key, why = self.skipped[0]
            raise NothingReadable(
                f"none of the {len(source)} {_what(source)} of {source.name} can be used as the task cuts its clips; "
                f"the first, {key}: {why}; {_advice(why)}",
                self.skipped,
            )

    def __len__(self) -> int:
        return len(self._video)

    def _notes_of_rate(self) -> tuple[str, ...]:
        """Where clips are cut at a higher rate than that of the videos, their frames repeat."""
        fps = max((one.fps or 0.0 for one in self.sampling.inputs.values() if isinstance(one, Clip)), default=0.0)
        if not fps:
            return ()
        rates = [(len(times) - 1) / times[-1] for times in map(self._plan.times, self._video) if len(times) > 1]
        slower = [rate for rate in rates if rate < _SLOWER * fps]
        if not slower:
            return ()
        return (
            f"{len(slower)} of {len(self)} videos have fewer frames a second than --fps {fps:g}, the slowest "
            f"{min(slower):.3g}: frames repeat in their clips",
        )

    def _notes_of_length(self, source: Source) -> tuple[str, ...]:
        """That videos are left out or stand still at their end, as they are shorter than a clip."""
        out = {video: why for video, why in self._plan.unusable.items() if "sound" not in why}
        found = (
            (out, "are left out", "; fewer --frames, a smaller --stride or the task's own settings make clips shorter"),
            (self._plan.held, "are shorter than a clip, so their last frame is held for the rest of it", ""),
        )
        return tuple(
            f"{len(short)} of {len(self._index)} videos {what}, such as "
            f"{source.entries[int(self._index.entry[min(short)])].key}: {short[min(short)]}{advice}"
            for short, what, advice in found
            if short and len(self)
        )

    def read(self, rows: NDArray[np.int64], draws: NDArray[np.float64]) -> HostBatch:
        """Clips (N, T, side, side, 3), images (N, side, side, 3), audio (N, S) and the time of the moments."""
        plan, count, side = self._plan, len(rows), self.side
        rows = np.array(rows, np.int64)
        frames = np.empty((count, plan.num_frames, side, side, 3), np.uint8)
        sound = np.zeros((count, plan.num_samples), np.int16)
        time = np.zeros(count, np.float32)
        todo = np.arange(count)
        for _ in range(len(self)):
            todo = self._fill(rows, draws, todo, frames, sound, time)
            if not len(todo):
                break
            # The file broke or went since it was indexed: the next video takes its place.
            rows[todo] = (rows[todo] + 1) % len(self)
        else:
            raise ValueError("none of the videos can be read any more; were they moved?")
        return HostBatch(index=rows, inputs=inputs_of(plan, frames, sound), time=time)

    def _fill(
        self,
        rows: NDArray[np.int64],
        draws: NDArray[np.float64],
        todo: NDArray[np.int64],
        frames: NDArray[np.uint8],
        sound: NDArray[np.int16],
        time: NDArray[np.float32],
    ) -> NDArray[np.int64]:
        """Read the rows of the batch numbered `todo` (K,); which of them could not be read."""
        videos = self._video[rows[todo]]
        clips = [self._plan.at(int(v), drawn) for v, drawn in zip(videos, draws[todo], strict=True)]
        # The first time round all rows are read, straight into place.
        whole = len(todo) == len(rows)
        frames_here, sound_here = (frames, sound) if whole else (frames[todo], sound[todo])
        places = draws[todo, :2].tolist()
        broken = self._videos.fill(videos, clips, places, frames_here, sound_here if self._plan.num_samples else None)
        if not whole:
            frames[todo], sound[todo] = frames_here, sound_here
        time[todo] = [clip.middle for clip in clips]
        with self._skipping:
            listed = {key for key, _ in self.skipped}
            gone = {self.keys[row] for row in rows[todo[broken]].tolist()}
            self.skipped += [(key, "cannot be read any more") for key in sorted(gone - listed)]
        return todo[broken]

    def spread(
        self, rows: NDArray[np.int64], draws: NDArray[np.float64], sampling: Sampling | None = None
    ) -> NDArray[np.float64]:
        """Draws (N, D) whose neighbouring rows of one video are at least `min_gap` seconds apart, else as given.

        Neighbours are the groups of `clips_per_video` rows that follow each other and name one video. Each clip stays
        uniform over the places that leave room for the others.
        """
        sampling = sampling or self.sampling
        spread = draws.copy()
        start = 0
        while start < len(rows):
            stop = start + 1
            while stop < len(rows) and stop - start < sampling.clips_per_video and rows[stop] == rows[start]:
                stop += 1
            own = slice(start, stop)
            spread[own, 2] = self._plan.spread(self._video[rows[own]], draws[own, 2], sampling.min_gap)
            start = stop
        return spread

    def eval_draws(self, row_count: int, clips: int) -> list[NDArray[np.float64]]:
        """`clips` draws (row_count, D) of central windows whose clips are evenly spaced over each video."""
        return even_draws(row_count, self.sampling, clips)

    def frames_of(self, rows: NDArray[np.int64], draws: NDArray[np.float64], name: str) -> NDArray[np.int64]:
        """(N, T) numbers of the frames that `read` gives as the image or clip `name`."""
        part = self._plan.parts[name]
        videos = self._video[rows]
        return np.stack([self._plan.at(int(v), drawn).frames[part] for v, drawn in zip(videos, draws, strict=True)])

    def clip(self, row: int, draw: float) -> tuple[NDArray[np.float64], Place]:
        """Seconds of the frames (T,) that `read` gives for a row and its third draw, and the place of the clip."""
        drawn = np.full(self.sampling.draws, 0.5)
        drawn[2] = draw
        clip = self._plan.at(int(self._video[row]), drawn)
        return self._plan.times(int(self._video[row]))[clip.frames], clip


def even_draws(count: int, sampling: Sampling, clips: int) -> list[NDArray[np.float64]]:
    """`clips` draws (count, D) in the middle of the window, whose moments are evenly spaced over a video."""
    evenly = []
    for k in range(clips):
        draws = np.full((count, sampling.draws), 0.5)
        draws[:, 2] = (k + 0.5) / clips
        evenly.append(draws)
    return evenly


def inputs_of(plan: ClipPlan, frames: NDArray[np.uint8], sound: NDArray[np.int16]) -> dict[str, NDArray[Any]]:
    """The inputs by name, of all frames (N, T, side, side, 3) of samples and their sound (N, S)."""
    inputs: dict[str, NDArray[Any]] = {}
    for name, one in plan.sampling.inputs.items():
        if isinstance(one, Sound):
            inputs[name] = sound.astype(np.float32) / np.float32(32768)
        elif name in plan.parts:
            part = frames[:, plan.parts[name]]
            inputs[name] = part[:, 0] if isinstance(one, Image) else part
    return inputs


def open_video_samples(
    source: Source,
    *,
    side: int,
    sampling: Sampling,
    cache_limit_gb: float,
    workers: int | None,
    progress: Progress | None = None,
) -> VideoSamples:
    """The packed store of `source`, built where absent; decoding on the fly where it would exceed the limit.

    The store holds whole videos, so every task and sampling shares it. Arguments as in `open_samples`.
    """
    keys = video_keys(source, side)
    limit = cache_limit_gb * 1e9
    found = open_kept(keys, limit, lambda folder, meta: _whole(source, folder, meta), _KEPT)
    if found is None:
        found = _whole(source, *_build(source, keys, side=side, limit=limit, workers=workers, progress=progress))
    folder, meta, index = found
    videos: PackedVideos | LiveVideos
    if meta["kept"] != "index":
        videos = PackedVideos(index, folder, meta["side"], is_jpeg=meta["kept"] == "jpeg", workers=workers or 1)
    else:
        videos = LiveVideos(index, [_video(source, int(i)) for i in index.entry], meta["side"], workers or 1)
    skipped = [(int(i), str(why)) for i, why in meta["skipped"]]
    silent = frozenset(int(i) for i in meta.get("silent", ()))  # stores of before do not say
    samples = VideoSamples(source, index, skipped, videos, sampling, folder, silent=silent)
    if meta["kept"] != "packed":
        how = "are kept as JPEG of quality 90" if meta["kept"] == "jpeg" else "are decoded each time they are read"
        samples.notes += (
            f"the frames of {source.name} would need {meta['estimated_bytes'] / 1e9:.3g} GB, more than --cache-limit "
            f"{cache_limit_gb:g}: they {how}",
        )
    return samples


def video_keys(source: Source, side: int) -> dict[str, str]:
    """Keys of the store of a source of videos or audio, by the way it is kept."""
    return {kind: digest(["videos", kind, _FORMAT, source.fingerprint, str(side)]) for kind in _KEPT}


def _whole(source: Source, folder: Path, meta: dict[str, Any]) -> tuple[Path, dict[str, Any], VideoIndex]:
    """A store with its index; raises one of `DAMAGE` where something of it is not there."""
    index = VideoIndex.load(folder / INDEX)
    if len(index) and not 0 <= index.entry.min() <= index.entry.max() < len(source):
        raise ValueError("the index names entries that are not there")
    if not {"kept", "side", "skipped", "estimated_bytes"} <= meta.keys():
        raise ValueError("the meta data are not whole")
    if meta["kept"] != "index":
        last = np.cumsum(index.frames) - 1
        frames, sound = (index.place + index.length)[last], index.sound_offset + 2 * index.sound_samples
        for name, ends in ((FRAMES, frames), (SOUND, sound)):
            for shard in np.unique(index.shard).tolist():
                if (folder / name.format(shard)).stat().st_size < int(ends[index.shard == shard].max()):
                    raise ValueError("the frames or the sound are not all there")
    return folder, meta, index


def _what(source: Source) -> str:
    return "videos" if "video" in source.provides else "files of sound"


def _advice(why: str) -> str:
    """What to do where a sample is refused for such a reason."""
    if "silent" in why or why == "no sound":
        return "give data with sound that can be heard"
    if "of sound" in why:
        return "give longer sound, or choose shorter windows of it in the settings of the task"
    return "give longer videos, or fewer --frames or other settings of the task"


def _video(source: Source, i: int) -> Video:
    video = source.read(i)
    if not isinstance(video, str | EncodedVideo | FrameSequence):
        raise TypeError(f"{source.name} gives {type(video).__name__} for a video")
    return video


def headers_of(
    source: Source, videos: Sequence[Video], workers: int, *, told: str
) -> tuple[dict[int, Header], list[tuple[int, str]]]:
    """As `read_headers` of the videos of a source, at least one; `told` says of them how many there are.

    Raises:
        NothingReadable: if none can be read, with all of the source that cannot.
    """
    headers, unopened = read_headers(videos, workers)
    if not headers:
        i, why = unopened[0]
        raise NothingReadable(
            f"none of {told} of {source.name} can be read; the first, {source.entries[i].key}: {why}",
            [*source.skipped, *((source.entries[i].key, why) for i, why in unopened)],
        )
    return headers, unopened


def _build(
    source: Source, keys: dict[str, str], *, side: int, limit: float, workers: int | None, progress: Progress | None
) -> tuple[Path, dict[str, Any]]:
    threads = workers or usable_cores()
    videos = [_video(source, i) for i in range(len(source))]
    headers, unopened = headers_of(source, videos, threads, told=f"the {len(source)} {_what(source)}")
    stored_side = packed_side(headers.values(), side)
    size = estimated_bytes(headers.values(), stored_side)
    kept = kept_as(size, limit, _KEPT)

    def build(folder: Path) -> dict[str, Any]:
        index, broken, silent = pack_videos(
            videos, headers, folder, side=stored_side, workers=threads, kept=kept, progress=progress
        )
        return {
            "kind": {"packed": "videos", "jpeg": "videos as JPEG", "index": "videos, index only"}[kept],
            "kept": kept,
            "data": source.name,
            "samples": len(index),
            "side": stored_side,
            "estimated_bytes": size,
            "skipped": sorted([*unopened, *broken]),
            "silent": silent,
            **note_origin(source, folder),
        }

    return build_kept(source, keys, build, size=size, limit=limit, shares=_KEPT)
