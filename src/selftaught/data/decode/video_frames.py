"""The frames of a video that the decoder vouches for, in the order they are shown; damage costs its stretch alone."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import av
import cv2
import numpy as np
from av.video.frame import PictureType
from numpy.typing import NDArray

from selftaught.data.decode.fit import fit
from selftaught.data.decode.frame_pixels import luma
from selftaught.data.decode.frame_sequence import FrameSequence
from selftaught.data.decode.image import Decoding
from selftaught.data.decode.video import Box, Shrink, Video, first_video_stream, opened, reason
from selftaught.data.files.file_tree import Unreadable

_HELD = 8
"""Frames held back: those shown before a damaged one may be predicted from it, and are lost with it."""
_ATTEMPTS = 10
"""Errors of the container, one after the other, after which its end is given up."""
_STRICT = dict.fromkeys(("hevc", "mjpeg"), "explode") | dict.fromkeys(
    ("mpeg4", "msmpeg4v1", "msmpeg4v2", "msmpeg4", "wmv1", "wmv2", "h263", "flv"), "explode+bitstream+buffer"
)
"""Decoders that would otherwise repair damage without saying so. Those of H.264 and MPEG-2 say so, unless asked for
more; the former then refuses what refers to frames before an open key frame, too."""
_ONE_TO_ONE = frozenset(("h264", "hevc"))
"""Codecs whose every packet gives a frame, unless it is interlaced."""
_EVERY = 8
"""Rows of a frame to one that its seal covers."""


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """One frame of a video.

    Attributes:
        time: seconds by the clock of the container; None where it does not say.
        image: (H, W, 3) uint8 as it is stored.
        luma: (H', W') uint8 brightness before it was scaled; valid until the next frame is asked for.
        black: the level of black in it, 16 or 0.
        is_after_damage: whether frames between the one before and this one are lost.
    """

    time: float | None
    image: NDArray[np.uint8]
    luma: NDArray[np.uint8]
    black: int
    is_after_damage: bool


class CleanFrames:
    """Iterates over (frame, its seconds or None, whether frames before it are lost), without what is damaged.

    After an error nothing is used until the next key frame. Damaged frames before the first whole one are not counted:
    a recording may begin inside a group of frames.

    Attributes:
        end_is_lost: once all frames are given, whether damage lasts to the end.
        why: what the decoder said of the first damage.
    """

    def __init__(self, container: Any, stream: Any) -> None:
        self.end_is_lost = False
        self.why = ""
        self._container, self._stream = container, stream
        self._waits = self._has_begun = False
        self._fed: set[int] = set()
        self._key = 0
        self._held: deque[tuple[Any, float | None, bool]] = deque()
        self._base = float(stream.time_base)
        stream.thread_type = "NONE"
        strict = _STRICT.get(stream.codec_context.name)
        if strict:
            stream.codec_context.options = {"err_detect": strict}

    def __iter__(self) -> Iterator[tuple[Any, float | None, bool]]:
        codec, is_resumed = self._stream.codec_context, True
        # AVI attaches times to other frames than theirs.
        has_own_times = codec.name in _ONE_TO_ONE and self._container.format.name != "avi"
        for packet in self._packets():
            if not is_resumed and not (packet is not None and packet.is_keyframe):
                continue
            is_resumed = True
            if has_own_times and packet is not None and packet.pts is not None and packet.size:
                self._fed.add(packet.pts)
            try:
                frames = codec.decode(packet)
            except (av.FFmpegError, ValueError) as error:
                # What was read before is good; whatever follows may be predicted from what is lost.
                frames, is_resumed = self._drained(codec), False
                self._why(reason(error))
            for frame in frames:
                self._take(frame)
                if len(self._held) > _HELD:
                    yield self._held.popleft()
            self.end_is_lost |= not is_resumed
        yield from self._held

    def _drained(self, codec: Any) -> list[Any]:
        """The frames that the decoder still has; it is ready for a key frame then."""
        with suppress(av.FFmpegError, ValueError):
            frames = codec.decode(None)
            codec.flush_buffers()
            return list(frames)
        codec.flush_buffers()
        return []

    def _take(self, frame: Any) -> None:
        if self._has_begun and (frame.is_corrupt or self._lacks_one_before(frame)):
            # Frames of type B are shown before the one they are predicted from.
            while self._held and self._held[-1][0].pict_type == PictureType.B:
                self.end_is_lost |= self._held.pop()[2]
            self._why("a damaged frame")
            self._waits = self.end_is_lost = True
        if not frame.is_corrupt and (not self._waits or frame.key_frame):
            time = None if frame.pts is None else frame.pts * self._base
            self._held.append((frame, time, self.end_is_lost))
            self._waits = self.end_is_lost = False
            self._has_begun = True
        if frame.key_frame and frame.pts is not None:
            self._key = frame.pts

    def _lacks_one_before(self, frame: Any) -> bool:
        """Whether a packet went into the decoder whose frame should have come out before this one."""
        if frame.pts is None:
            return False
        late = {pts for pts in self._fed if pts < frame.pts}
        self._fed -= late | {frame.pts}
        # Frames before an open key frame are rightly left out after a seek.
        return not frame.interlaced_frame and any(pts > self._key for pts in late)

    def _why(self, why: str) -> None:
        self.why = self.why or why

    def _packets(self) -> Iterator[Any]:
        packets, failed = self._container.demux(self._stream), 0
        while failed < _ATTEMPTS:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                failed = 0
                yield packet
            except (av.FFmpegError, ValueError) as error:
                failed += 1
                self._why(reason(error))
                self.end_is_lost = self._waits = True
                packets = self._container.demux(self._stream)
        yield None  # the decoder gives what it has


def decode_frames(video: Video, side: int, *, keep: bool = True, box: Box | None = None) -> Iterator[Decoded]:
    """Every frame in the order it is shown, what is in the `box` of it with a short side of `side` pixels.

    The times as a set are right, but a container that stores no order of showing (AVI) attaches them to the wrong
    neighbours: see `times_of`. With `keep` false all images are the first one, which saves scaling the others.

    Raises:
        Unreadable: where there is no frame that can be used, and at the end where damage lasts to it; what came before
            is good.
    """
    if isinstance(video, FrameSequence):
        yield from _of_sequence(video, side, box)
        return
    with opened(video) as container:
        stream = first_video_stream(container)
        shrink, clean = Shrink(side, stream, box), CleanFrames(container, stream)
        first: NDArray[np.uint8] | None = None
        for frame, time, is_after_damage in clean:
            image = shrink(frame) if keep or first is None else first
            first = image if first is None else first
            seen, black = luma(frame)
            yield Decoded(time=time, image=image, luma=seen, black=black, is_after_damage=is_after_damage)
        if clean.end_is_lost:
            raise Unreadable(clean.why)


def _of_sequence(video: FrameSequence, side: int, box: Box | None) -> Iterator[Decoded]:
    why = ""
    has_begun = False
    for number, frame in enumerate(video.frames(range(video.count))):
        if isinstance(frame, Exception):
            why = reason(frame)
            continue
        yield Decoded(
            time=number / video.fps,
            image=fit_box(frame, side, box),
            luma=np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)),
            black=0,
            is_after_damage=has_begun and bool(why),
        )
        has_begun, why = True, ""
    if why:
        raise Unreadable(why)


def fit_box(frame: NDArray[np.uint8], side: int, box: Box | None) -> NDArray[np.uint8]:
    """What is in the `box` of a frame (H, W, 3) with a short side of `side` pixels."""
    top, left, height, width = box or (0, 0, *frame.shape[:2])
    return fit(frame[top : top + height, left : left + width], side=side, decoding=Decoding())


def frame_period(video: Video) -> float:
    """Seconds from a frame to the next by the container's word; 1 / 25 where it has none."""
    if isinstance(video, FrameSequence):
        return 1 / video.fps
    with opened(video) as container:
        return 1 / float(first_video_stream(container).average_rate or 25)


def times_of(times: NDArray[np.float64], period: float) -> NDArray[np.float64]:
    """Seconds of frames in the order they are shown, never falling, from those that the container states.

    Frames without a time (NaN) lie evenly between their neighbours with one; before the first and after the last of
    those they are `period` seconds apart.
    """
    number = np.arange(len(times))
    known = np.flatnonzero(~np.isnan(times))
    if not len(known):
        return np.asarray(period * number, np.float64)
    stated = np.sort(times[known])
    seconds = np.asarray(np.interp(number, known, stated), np.float64)
    first, last = int(known[0]), int(known[-1])
    seconds[:first] = stated[0] - period * np.arange(first, 0, -1)
    seconds[last + 1 :] = stated[-1] + period * np.arange(1, len(times) - last)
    return seconds


def seal_of(luma: NDArray[np.uint8]) -> int:
    """A checksum of the brightness of a decoded frame, by which it is known again."""
    return zlib.adler32(np.ascontiguousarray(luma[::_EVERY]).data)
