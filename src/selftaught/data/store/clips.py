"""Where in a video a clip is: its frames by their real times, its sound around the clip's middle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from selftaught.data.batch import Sampling
from selftaught.data.decode.video import SOUND_RATE
from selftaught.data.store.video_index import Floats, Integers, VideoIndex


@dataclass(frozen=True)
class Clip:
    """One clip of a video."""

    frames: Integers
    """(T,) numbers of the frames."""
    middle: float
    """Seconds from the first frame of the video."""
    sound_first: int
    """The first sample of its sound, which may lie before the track's."""


class ClipPlan:
    """All places a clip of `sampling` can have in each video, as the range of seconds of its middle.

    The frames of a clip are those nearest to its nominal times: `sampling.fps` apart, or consecutive where that is
    None. Where sound is wanted, the range shrinks to the middles around which all of it is there, if there are any;
    else the one place with most sound is taken and the rest is silence.

    Attributes:
        num_frames: T, at least 1.
        num_samples: S of sound, 0 for none.
        earliest, latest: (V,) seconds of the middle.
        unusable: video -> why it is too short.
    """

    def __init__(self, index: VideoIndex, sampling: Sampling) -> None:
        self.sampling = sampling
        self.num_frames = max(1, sampling.frames)
        self.num_samples = round(sampling.audio_seconds * SOUND_RATE)
        self.unusable: dict[int, str] = {}
        self._times = index.times
        self._first = np.concatenate([[0], np.cumsum(index.frames)])[:-1].astype(np.int64)
        self._count = index.frames
        self._sound_start = index.sound_start
        last = index.times[self._first + self._count - 1] if len(index) else np.zeros(0)
        self.earliest, self.latest = self._middles(last)
        if self.num_samples:
            self._fit_sound(index)
        self._check_gap()

    def at(self, video: int, draw: float) -> Clip:
        """The clip whose middle is at `draw`, in [0, 1], of the video's range."""
        middle = float(self.earliest[video] + draw * (self.latest[video] - self.earliest[video]))
        times = self.times(video)
        if self.sampling.fps is None:
            middles = (times[: len(times) - self.num_frames + 1] + times[self.num_frames - 1 :]) / 2
            frames = nearest(middles, np.array([middle])) + np.arange(self.num_frames)
        else:
            steps = np.arange(self.num_frames) - (self.num_frames - 1) / 2
            frames = nearest(times, np.asarray(middle + steps / self.sampling.fps, np.float64))
        first = round((middle - float(self._sound_start[video])) * SOUND_RATE - self.num_samples / 2)
        return Clip(frames, middle, first)

    def times(self, video: int) -> Floats:
        """Seconds of the video's frames, from its first."""
        return self._times[self._first[video] : self._first[video] + self._count[video]]

    def spread(self, videos: Integers, draws: Floats, least: float) -> Floats:
        """Draws (n,) of clips of one video each moved so that middles are `least` seconds apart, in the same order.

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

    def _middles(self, last: Floats) -> tuple[Floats, Floats]:
        count = self.num_frames
        if self.sampling.fps is None:
            short = self._count < count
            for video in np.flatnonzero(short):
                self.unusable[int(video)] = f"{self._count[video]} frames, fewer than the {count} of a clip"
            reach = np.where(short, 0, count - 1)
            end = self._first + self._count - 1
            earliest = self._times[self._first + reach] / 2
            return earliest, (self._times[end - reach] + last) / 2
        span = (count - 1) / self.sampling.fps
        # The last frame is on show for one more period, half of which is as near to it as a frame can be.
        shown = last + np.divide(last, 2 * (self._count - 1), out=np.zeros_like(last), where=self._count > 1)
        for video in np.flatnonzero(shown < span):
            self.unusable[int(video)] = f"{last[video]:.1f} s, shorter than a clip of {span:.1f} s"
        return np.full_like(last, span / 2), np.maximum(span / 2, last - span / 2)

    def _fit_sound(self, index: VideoIndex) -> None:
        half = self.sampling.audio_seconds / 2
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


def nearest(times: Floats, wanted: Floats) -> Integers:
    """Index of the time nearest to each wanted one; `times` increase."""
    after = np.searchsorted(times, wanted).clip(1, max(1, len(times) - 1))
    before = after - 1
    after = np.minimum(after, len(times) - 1)
    return np.where(wanted - times[before] <= times[after] - wanted, before, after).astype(np.int64)
