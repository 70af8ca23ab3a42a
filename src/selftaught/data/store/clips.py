"""Where in a video the inputs of a sample are: frames by their real times, audio around the moment."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from selftaught.data.batch import Sampling
from selftaught.data.decode.video import SOUND_RATE
from selftaught.data.inputs import Clip, Image, Sound, own_draws
from selftaught.data.store.video_index import Floats, Integers, VideoIndex

Silent = NDArray[np.bool_]


@dataclass(frozen=True)
class Place:
    """Where in its video one sample is read."""

    frames: Integers
    """(T,) numbers of the frames of all clips and images, one input after the other."""
    middle: float
    """The moment, in seconds from the first frame of the video."""
    sound_first: int
    """The first sample of its audio, which may be before the track's."""


@dataclass(frozen=True)
class _Reach:
    """What follows a clip: so many more frames of the video, and so many more seconds."""

    frames: int = 0
    seconds: float = 0.0


class ClipPlan:
    """All moments that a sample of `sampling` can have in each video, as ranges of seconds: one in each segment.

    No sample reaches from one segment of a video into another; the longer the range of one, the more often it is drawn.

    A clip without `after` has the moment in its middle: its frames are those nearest to its nominal times, `fps` apart,
    or every `stride`-th where that is None. A clip with `after` begins one such step, and its gap, later than the other
    ends, and the range leaves room for it. Where audio is wanted, the range shrinks to the moments around which all of
    it is there, if there are any; else the one moment with most audio is taken and the rest is silence.

    Attributes:
        num_frames: T of all clips and images together, at least 1.
        num_samples: S of audio, 0 for none.
        parts: clip or image -> its frames among the T.
        earliest, latest: (S,) seconds of the moment in each segment of the index.
        unusable: video -> why it is too short.
        held: video -> why it is too short, where its last frame is held for the rest of a clip.
    """

    def __init__(self, index: VideoIndex, sampling: Sampling, *, silent: Silent | None = None) -> None:
        """`silent` (V,) bool are the videos whose sound cannot be heard."""
        self.sampling = sampling
        self._clips = {name: one for name, one in sampling.inputs.items() if isinstance(one, Clip)}
        self._clips |= {name: Clip(frames=1) for name, one in sampling.inputs.items() if isinstance(one, Image)}
        self._clips = self._clips or {"": Clip(frames=1)}  # audio alone is read at the moment of a frame
        self._columns = own_draws(sampling.inputs)
        self.parts: dict[str, slice] = {}
        self.num_frames = 0
        for name, clip in self._clips.items():
            self.parts[name] = slice(self.num_frames, self.num_frames + clip.frames)
            self.num_frames += clip.frames
        self._sound = next((one.seconds for one in sampling.inputs.values() if isinstance(one, Sound)), 0.0)
        self.num_samples = round(self._sound * SOUND_RATE)
        self.unusable: dict[int, str] = {}
        self._times = index.times
        self._video = index.segment_video
        self._begins = np.concatenate([np.zeros(1, np.int64), np.cumsum(index.frames)])
        self._first = self._begins[self._video] + index.segment_first
        self._count = index.segment_stop - index.segment_first
        self._sound_start = index.sound_start
        self._short: dict[int, str] = {}
        self.earliest, self.latest = self._middles()
        if self.num_samples:
            self._fit_sound(index, silent)
        usable = np.array([segment not in self._short for segment in range(len(self._video))], np.bool_)
        bounds = np.searchsorted(self._video, np.arange(len(index) + 1))
        self.held: dict[int, str] = {}
        self._usable = [
            lo + (np.flatnonzero(usable[lo:hi]) if usable[lo:hi].any() else self._held(video, lo, hi))
            for video, (lo, hi) in enumerate(pairwise(bounds.tolist()))
        ]
        self._check_segments(bounds)
        self._check_gap()

    def at(self, video: int, drawn: Floats) -> Place:
        """The sample of the random numbers `drawn` (D,) in [0, 1], of which the third is the place in the ranges."""
        segment, share = self._drawn(video, float(drawn[2]))
        moment = float(self.earliest[segment] + share * (self.latest[segment] - self.earliest[segment]))
        start = int(self._first[segment])
        times = self._times[start : start + self._count[segment]]
        found: dict[str, Integers] = {}
        ends: dict[str, float] = {}
        while len(found) < len(self._clips):
            for name, clip in self._clips.items():
                if name not in found and (not clip.after or clip.after in found):
                    if clip.after:
                        low, high = clip.gaps
                        gap = low + (high - low) * float(drawn[self._columns[name]]) if name in self._columns else low
                        found[name], ends[name] = _after(times, clip, found[clip.after], ends[clip.after], gap)
                    else:
                        found[name], ends[name] = _around(times, clip, moment)
        first = round((moment - float(self._sound_start[video])) * SOUND_RATE - self.num_samples / 2)
        frames = start - int(self._begins[video]) + np.concatenate([found[name] for name in self._clips])
        return Place(frames, moment, first)

    def times(self, video: int) -> Floats:
        """Seconds of the video's frames, from its first."""
        return self._times[self._begins[video] : self._begins[video + 1]]

    def spread(self, videos: Integers, draws: Floats, least: float) -> Floats:
        """Draws (n,) of moments of one video each moved so that they are `least` seconds apart, in the same order.

        Uniform numbers are pressed together and the gaps put between them: the result is uniform over all places
        that keep the gaps.
        """
        length = float(self._weights(int(videos[0])).sum())
        n = len(draws)
        if n < 2 or length <= 0:
            return draws
        gap = (least + self._slack(int(videos[0]))) / length
        rank = np.argsort(np.argsort(draws, kind="stable"), kind="stable")
        return np.clip(draws * max(0.0, 1 - (n - 1) * gap) + rank * gap, 0.0, 1.0)

    def _drawn(self, video: int, draw: float) -> tuple[int, float]:
        """The segment that a number in [0, 1] falls into, and where in its range, in [0, 1]."""
        segments = self._usable[video]
        if len(segments) == 1:
            return int(segments[0]), draw
        weights = self._weights(video)
        ends = np.cumsum(weights)
        place = draw * float(ends[-1])
        k = min(int(np.searchsorted(ends, place, side="right")), len(segments) - 1)
        segment = int(segments[k])
        length = float(self.latest[segment] - self.earliest[segment])
        return segment, min(1.0, (place - float(ends[k] - weights[k])) / length) if length > 0 else 0.0

    def _weights(self, video: int) -> Floats:
        """Seconds of the range of each usable segment of a video; where there are more than one, and of one frame.

        Without the latter a segment as long as its clip would never be drawn.
        """
        segments = self._usable[video]
        lengths = self.latest[segments] - self.earliest[segments]
        if len(segments) == 1:
            return np.asarray(lengths, np.float64)
        between = np.append(self.earliest[segments][1:] - self.latest[segments][:-1], np.inf)
        return np.asarray(lengths + np.clip(between, 1e-9, self._slack(video)), np.float64)

    def _slack(self, video: int) -> float:
        """Seconds by which two moments may be nearer to each other than their draws say."""
        times = self.times(video)
        return float(times[-1]) / (len(times) - 1) if len(self._usable[video]) > 1 else 0.0

    def _middles(self) -> tuple[Floats, Floats]:
        """The moments at which all clips without `after`, and what follows them, fit."""
        if not len(self._count):
            return np.zeros(0), np.zeros(0)
        ranges = [self._range(clip, self._reach(name)) for name, clip in self._clips.items() if not clip.after]
        earliest = np.maximum.reduce([low for low, _ in ranges])
        latest = np.minimum.reduce([high for _, high in ranges])
        for segment in np.flatnonzero(earliest > latest):
            self._short.setdefault(int(segment), "too short for its clips around one moment")
        return earliest, np.maximum(earliest, latest)

    def _range(self, clip: Clip, after: _Reach) -> tuple[Floats, Floats]:
        reach = (clip.frames - 1) * clip.stride
        more = f" and those after it, {after.seconds:.1f} s" if after.seconds else " and those after it"
        more = more if after.frames or after.seconds else ""
        begin = self._times[self._first]
        end = self._first + np.maximum(0, self._count - 1 - after.frames)
        last = self._times[end] - after.seconds if after.seconds else self._times[end]
        if clip.fps is None:
            end = self._until(end, last) if after.seconds else end
            short = end - self._first < reach
            short |= (self._count - 1 < reach + after.frames) | (last < begin)
            for segment in np.flatnonzero(short):
                needed = reach + 1 + after.frames
                many = f"{self._count[segment]} frame{'s' if self._count[segment] > 1 else ''}"
                self._short[int(segment)] = f"{many}, fewer than the {needed} of a clip{more}"
            fits = np.where(short, 0, reach)
            low = (begin + self._times[self._first + fits]) / 2
            return low, (self._times[end - fits] + self._times[end]) / 2
        span = (clip.frames - 1) / clip.fps
        # The last frame is on show for one more period, half of which is as near to it as a frame can be.
        length = last - begin
        shown = length + np.divide(length, 2 * (self._count - 1), out=np.zeros_like(last), where=self._count > 1)
        for segment in np.flatnonzero((shown < span) | (self._count <= after.frames)):
            seconds = self._times[end[segment]] - begin[segment]
            self._short[int(segment)] = f"{seconds:.1f} s, shorter than a clip of {span:.1f} s{more}"
        return begin + span / 2, np.maximum(begin + span / 2, last - span / 2)

    def _until(self, end: Integers, last: Floats) -> Integers:
        """The last frame of each segment that is shown at `last` (S,) at the latest, in the place of `end` (S,)."""
        found = end.copy()
        for segment, (first, stop) in enumerate(zip(self._first, end, strict=True)):
            shown = np.searchsorted(self._times[first : stop + 1], last[segment] + 1e-9, side="right")
            found[segment] = first + max(0, int(shown) - 1)
        return found

    def _reach(self, name: str) -> _Reach:
        """What the clips after `name` take at most."""
        frames, seconds = 0, 0.0
        for other, clip in self._clips.items():
            if clip.after == name and name:
                further = self._reach(other)
                own = 0.0 if clip.fps is None else clip.frames / clip.fps
                frames = max(frames, further.frames + (clip.frames * clip.stride if clip.fps is None else 0))
                seconds = max(seconds, further.seconds + own + clip.gaps[1])
        return _Reach(frames, seconds)

    def _fit_sound(self, index: VideoIndex, silent: Silent | None) -> None:
        half, start = self._sound / 2, index.sound_start[self._video]
        end = start + index.sound_samples[self._video] / SOUND_RATE
        whole_first, whole_last = start + half, end - half
        first, last = np.maximum(self.earliest, whole_first), np.minimum(self.latest, whole_last)
        best = np.clip((start + end) / 2, self.earliest, self.latest)
        whole = first <= last
        self.earliest, self.latest = np.where(whole, first, best), np.where(whole, last, best)
        heard = np.minimum(end, best + half) - np.maximum(start, best - half)
        for segment in np.flatnonzero(~whole & (heard < half)):
            short = f"{max(0.0, heard[segment]):.1f} s of sound, too little for {2 * half:g} s"
            has_sound = index.sound_samples[self._video[segment]] > 0
            self._short.setdefault(int(segment), short if has_sound else "no sound")
        for segment in np.flatnonzero(silent[self._video]) if silent is not None else ():
            self._short[int(segment)] = "its sound is silent"

    def _check_segments(self, bounds: Integers) -> None:
        """List the videos without a usable segment; `bounds` (V + 1,) says where the segments of each are."""
        for video, usable in enumerate(self._usable):
            own = np.arange(bounds[video], bounds[video + 1])
            if not len(usable) and len(own):
                why = self._short[int(own[np.argmax(self._count[own])])]
                self.unusable[video] = why if len(own) == 1 else f"its longest piece without a cut or damage: {why}"

    def _held(self, video: int, lo: int, hi: int) -> Integers:
        """Of the segments lo ... hi of a video, all too short, the longest, where its last frame may be held."""
        clips = [one for one in self._clips.values() if one.frames > 1]
        if lo == hi or self.num_samples or any(one.whole for one in clips):
            return np.zeros(0, np.int64)
        longest = int(np.argmax(self._count[lo:hi]))
        if self._count[lo + longest] < 2:  # an image is no clip
            return np.zeros(0, np.int64)
        self.held[video] = self._short[lo + longest]
        return np.array([longest], np.int64)

    def _check_gap(self) -> None:
        clips, gap = self.sampling.clips_per_video, self.sampling.min_gap
        for video, usable in enumerate(self._usable):
            if len(usable) and self._weights(video).sum() < (clips - 1) * (gap + self._slack(video)):
                self.unusable[video] = f"too short for {clips} clips with middles {gap:g} s apart"


def clip_bytes(sampling: Sampling, side: int) -> int:
    """Bytes of all frames of one sample at `side` x `side` pixels, and of its sound."""
    frames = sum(one.frames for one in sampling.inputs.values() if isinstance(one, Clip))
    frames += sum(isinstance(one, Image) for one in sampling.inputs.values())
    sound = sum(round(one.seconds * SOUND_RATE) for one in sampling.inputs.values() if isinstance(one, Sound))
    return max(1, frames) * 3 * side * side + 4 * sound


def _around(times: Floats, clip: Clip, moment: float) -> tuple[Integers, float]:
    """Frames of a clip with the moment in its middle, and the second at which it ends."""
    if clip.fps is None:
        reach = min((clip.frames - 1) * clip.stride, len(times) - 1)
        middles = (times[: len(times) - reach] + times[reach:]) / 2
        first = nearest(middles, np.array([moment]))
        frames = np.minimum(first + clip.stride * np.arange(clip.frames), len(times) - 1)
        return frames, float(times[frames[-1]])
    wanted = np.asarray(moment + (np.arange(clip.frames) - (clip.frames - 1) / 2) / clip.fps, np.float64)
    return nearest(times, wanted), float(wanted[-1])


def _after(times: Floats, clip: Clip, before: Integers, end: float, gap: float) -> tuple[Integers, float]:
    """Frames of a clip that follows the frames `before`, which end at the second `end`; and where it ends itself."""
    if clip.fps is None:
        last = nearest(times, np.array([end + gap])) if gap else before[-1:]
        frames = np.minimum(last + clip.stride * np.arange(1, clip.frames + 1), len(times) - 1)
        return frames, float(times[frames[-1]])
    wanted = end + gap + np.arange(1, clip.frames + 1) / clip.fps
    return nearest(times, wanted), float(wanted[-1])


def nearest(times: Floats, wanted: Floats) -> Integers:
    """Index of the time nearest to each wanted one; `times` increase."""
    after = np.searchsorted(times, wanted).clip(1, max(1, len(times) - 1))
    before = after - 1
    after = np.minimum(after, len(times) - 1)
    return np.where(wanted - times[before] <= times[after] - wanted, before, after).astype(np.int64)
