"""Where in a video the inputs of a sample are: frames by their real times, audio around the moment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from selftaught.data.batch import Sampling
from selftaught.data.decode.video import SOUND_RATE
from selftaught.data.inputs import Clip, Image, Sound, own_draws
from selftaught.data.store.video_index import Floats, Integers, VideoIndex


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
    """All moments that a sample of `sampling` can have in each video, as a range of seconds.

    A clip without `after` has the moment in its middle: its frames are those nearest to its nominal times, `fps` apart,
    or every `stride`-th where that is None. A clip with `after` begins one such step, and its gap, later than the other
    ends, and the range leaves room for it. Where audio is wanted, the range shrinks to the moments around which all of
    it is there, if there are any; else the one moment with most audio is taken and the rest is silence.

    Attributes:
        num_frames: T of all clips and images together, at least 1.
        num_samples: S of audio, 0 for none.
        parts: clip or image -> its frames among the T.
        earliest, latest: (V,) seconds of the moment.
        unusable: video -> why it is too short.
    """

    def __init__(self, index: VideoIndex, sampling: Sampling) -> None:
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
        self._first = np.concatenate([[0], np.cumsum(index.frames)])[:-1].astype(np.int64)
        self._count = index.frames
        self._sound_start = index.sound_start
        self.earliest, self.latest = self._middles()
        if self.num_samples:
            self._fit_sound(index)
        self._check_gap()

    def at(self, video: int, drawn: Floats) -> Place:
        """The sample of the random numbers `drawn` (D,) in [0, 1], of which the third is the place in the range."""
        moment = float(self.earliest[video] + drawn[2] * (self.latest[video] - self.earliest[video]))
        times = self.times(video)
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
        return Place(np.concatenate([found[name] for name in self._clips]), moment, first)

    def times(self, video: int) -> Floats:
        """Seconds of the video's frames, from its first."""
        return self._times[self._first[video] : self._first[video] + self._count[video]]

    def spread(self, videos: Integers, draws: Floats, least: float) -> Floats:
        """Draws (n,) of moments of one video each moved so that they are `least` seconds apart, in the same order.

        Uniform numbers are pressed together and the gaps put between them: the result is uniform over all places
        that keep the gaps.
        """
        length = float(self.latest[videos[0]] - self.earliest[videos[0]])
        n = len(draws)
        if n < 2 or length <= 0:
            return draws
        gap = least / length
        rank = np.argsort(np.argsort(draws, kind="stable"), kind="stable")
        return np.clip(draws * max(0.0, 1 - (n - 1) * gap) + rank * gap, 0.0, 1.0)

    def _middles(self) -> tuple[Floats, Floats]:
        """The moments at which all clips without `after`, and what follows them, fit."""
        if not len(self._count):
            return np.zeros(0), np.zeros(0)
        ranges = [self._range(clip, self._reach(name)) for name, clip in self._clips.items() if not clip.after]
        earliest = np.maximum.reduce([low for low, _ in ranges])
        latest = np.minimum.reduce([high for _, high in ranges])
        for video in np.flatnonzero(earliest > latest):
            self.unusable.setdefault(int(video), "too short for its clips around one moment")
        return earliest, np.maximum(earliest, latest)

    def _range(self, clip: Clip, after: _Reach) -> tuple[Floats, Floats]:
        reach = (clip.frames - 1) * clip.stride
        more = f" and those after it, {after.seconds:.1f} s" if after.seconds else " and those after it"
        more = more if after.frames or after.seconds else ""
        end = self._first + np.maximum(0, self._count - 1 - after.frames)
        last = self._times[end] - after.seconds if after.seconds else self._times[end]
        if clip.fps is None:
            end = self._until(end, last) if after.seconds else end
            short = end - self._first < reach
            short |= (self._count - 1 < reach + after.frames) | (last < 0)
            for video in np.flatnonzero(short):
                needed = reach + 1 + after.frames
                self.unusable[int(video)] = f"{self._count[video]} frames, fewer than the {needed} of a clip{more}"
            fits = np.where(short, 0, reach)
            return self._times[self._first + fits] / 2, (self._times[end - fits] + self._times[end]) / 2
        span = (clip.frames - 1) / clip.fps
        # The last frame is on show for one more period, half of which is as near to it as a frame can be.
        shown = last + np.divide(last, 2 * (self._count - 1), out=np.zeros_like(last), where=self._count > 1)
        for video in np.flatnonzero((shown < span) | (self._count <= after.frames)):
            self.unusable[int(video)] = f"{self._times[end[video]]:.1f} s, shorter than a clip of {span:.1f} s{more}"
        return np.full_like(last, span / 2), np.maximum(span / 2, last - span / 2)

    def _until(self, end: Integers, last: Floats) -> Integers:
        """The last frame of each video that is shown at `last` (V,) at the latest, in the place of `end` (V,)."""
        found = end.copy()
        for video, (first, stop) in enumerate(zip(self._first, end, strict=True)):
            shown = np.searchsorted(self._times[first : stop + 1], last[video] + 1e-9, side="right")
            found[video] = first + max(0, int(shown) - 1)
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

    def _fit_sound(self, index: VideoIndex) -> None:
        half = self._sound / 2
        end = index.sound_start + index.sound_samples / SOUND_RATE
        whole_first, whole_last = index.sound_start + half, end - half
        first, last = np.maximum(self.earliest, whole_first), np.minimum(self.latest, whole_last)
        best = np.clip((index.sound_start + end) / 2, self.earliest, self.latest)
        whole = first <= last
        self.earliest, self.latest = np.where(whole, first, best), np.where(whole, last, best)
        heard = np.minimum(end, best + half) - np.maximum(index.sound_start, best - half)
        for video in np.flatnonzero(~whole & (heard < half)):
            short = f"{max(0.0, heard[video]):.1f} s of sound, too little for {2 * half:g} s"
            self.unusable.setdefault(int(video), short if index.sound_samples[video] else "no sound")

    def _check_gap(self) -> None:
        clips, gap = self.sampling.clips_per_video, self.sampling.min_gap
        length = self.latest - self.earliest
        for video in np.flatnonzero(length < (clips - 1) * gap):
            self.unusable.setdefault(int(video), f"too short for {clips} clips with middles {gap:g} s apart")


def _around(times: Floats, clip: Clip, moment: float) -> tuple[Integers, float]:
    """Frames of a clip with the moment in its middle, and the second at which it ends."""
    if clip.fps is None:
        reach = (clip.frames - 1) * clip.stride
        middles = (times[: len(times) - reach] + times[reach:]) / 2
        frames = nearest(middles, np.array([moment])) + clip.stride * np.arange(clip.frames)
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
