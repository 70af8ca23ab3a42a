"""Which frames a video has and when each is shown."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class VideoIndex:
    """The readable videos of a source, V of them, F frames together. Seconds count from a video's first frame."""

    entry: Integers
    """(V,) index into the source's entries, increasing."""
    height: Integers
    """(V,) pixels of the stored frames."""
    width: Integers
    """(V,)"""
    box: Integers
    """(V, 4) top, left, height and width of what is kept of its raw frames; 0 where there are no bars."""
    frames: Integers
    """(V,) number of frames."""
    times: Floats
    """(F,) seconds of every frame, video after video, increasing in each."""
    seal: Integers
    """(F,) checksum of every frame as it was decoded."""
    segment_video: Integers
    """(S,) the video of every stretch that clips may be taken from, increasing; each video has one or more."""
    segment_first: Integers
    """(S,) number of its first frame in its video, increasing in each."""
    segment_stop: Integers
    """(S,) number after that of its last frame."""
    begin: Floats
    """(V,) seconds of the first frame by the container's clock."""
    sound_start: Floats
    """(V,) seconds of the first sample of sound."""
    sound_samples: Integers
    """(V,) at 16 kHz; 0 without sound."""
    shard: Integers
    """(V,) which pair of packed files; -1 where nothing is packed."""
    frame_offset: Integers
    """(V,) bytes into the packed frames."""
    sound_offset: Integers
    """(V,) bytes into the packed sound."""
    length: Integers
    """(F,) bytes of every packed frame; 0 where nothing is packed."""

    def __len__(self) -> int:
        return len(self.entry)

    @property
    def place(self) -> Integers:
        """(F,) where in its shard every packed frame begins."""
        ends = np.cumsum(self.length)
        first = np.cumsum(self.frames) - self.frames
        own = (ends - self.length)[first] if len(self) else first
        return np.asarray(ends - self.length + np.repeat(self.frame_offset - own, self.frames), np.int64)

    @property
    def last(self) -> NDArray[np.bool_]:
        """(F,) whether a frame is the last one of a segment or of its video."""
        ends = np.cumsum(self.frames)
        last = np.zeros(len(self.times), np.bool_)
        last[(ends - self.frames)[self.segment_video] + self.segment_stop - 1] = True
        last[ends - 1] = True
        return last

    def save(self, file: Path) -> None:
        np.savez(file, **{f.name: getattr(self, f.name) for f in fields(self)})

    @classmethod
    def load(cls, file: Path) -> VideoIndex:
        # Opened here: NumPy leaves the file of a damaged archive open.
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as columns:
            return cls(**{f.name: columns[f.name] for f in fields(cls)})
