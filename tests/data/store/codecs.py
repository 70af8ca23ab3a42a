"""Videos of every codec and container whose frames carry their number as pixels, bit by bit."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from selftaught.data.decode.frame_pixels import ONE_THREAD

BITS = 6
DARK, LIGHT = 40, 215


@dataclass(frozen=True, kw_only=True)
class Made:
    """How one video is written.

    Attributes:
        file: its name; the suffix is the container.
        codec: as FFmpeg calls the encoder.
        options: of the encoder.
        container: options of the container.
        height, width: pixels.
        times: of the frames, in thousandths of a second; None is 40 apart.
        is_timed: whether the file holds times at all.
        shown_from: number of the first frame that the container says is shown.
    """

    file: str
    codec: str
    options: Mapping[str, str] = field(default_factory=dict)
    container: Mapping[str, str] = field(default_factory=dict)
    pixels: str = "yuv420p"
    height: int = 48
    width: int = 64
    times: Sequence[int] | None = None
    is_timed: bool = True
    count: int = 30
    shown_from: int = 0

    def seconds(self) -> NDArray[np.float64]:
        """Of each frame that is shown, from the first."""
        times = np.array(40 * np.arange(self.count) if self.times is None else self.times)[self.shown_from :]
        return np.asarray((times - times[0]) / 1000, np.float64)


def numbered(number: int, height: int, width: int) -> NDArray[np.uint8]:
    """A frame (H, W, 3) whose blocks, three in each of two rows, are the bits of the Gray code of `number`.

    So one block alone changes from frame to frame, which is no cut.
    """
    bits = [((number ^ number >> 1) >> k) & 1 for k in range(BITS)]
    rows, columns = np.arange(height) * 2 // height, np.arange(width) * 3 // width
    level = np.where(np.array(bits).reshape(2, 3)[rows][:, columns], LIGHT, DARK)
    # A ground that moves lets encoders predict from frames before and after.
    level = level + ((np.arange(width)[None] + np.arange(height)[:, None] + 3 * number) % 16)
    return np.repeat(level[:, :, None], 3, 2).astype(np.uint8)


def number_in(frame: NDArray[np.uint8]) -> int:
    """The number a frame (H, W, 3) carries; -1 where a block is neither dark nor light."""
    height, width = frame.shape[:2]
    number, bit = 0, 0
    for k in reversed(range(BITS)):
        row, column = divmod(k, 3)
        top, left = row * height // 2, column * width // 3
        block = frame[top + height // 8 : top + 3 * height // 8, left + width // 12 : left + width // 4]
        level = float(block.mean())
        if DARK + 40 < level < LIGHT - 25:
            return -1
        bit ^= int(level > (DARK + LIGHT) / 2)
        number |= bit << k
    return number


@contextlib.contextmanager
def _same_scheduling() -> Iterator[None]:
    """SVT-AV1 makes the thread that calls it real-time where it may, and a browser started later inherits that."""
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


def write(made: Made, folder: Path) -> Path:
    """Write it."""
    path = folder / made.file
    path.parent.mkdir(parents=True, exist_ok=True)
    times = made.times if made.times is not None else [40 * k for k in range(made.count)]
    opened = av.open(str(path), "w", container_options=dict(made.container))
    with _same_scheduling(), opened as container:
        stream: Any = container.add_stream(made.codec, rate=25, options=dict(made.options))
        stream.height, stream.width, stream.pix_fmt = made.height, made.width, made.pixels
        base = Fraction(1, 1000) if made.is_timed and made.times is not None else Fraction(1, 25)
        stream.codec_context.time_base = base
        for number, time in enumerate(times):
            picture = numbered(number, made.height, made.width)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=made.pixels, **ONE_THREAD)
            frame.pts = round(time / 1000 / base) if made.is_timed else number
            frame.time_base = base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


_GOP = "keyint=10:min-keyint=10:scenecut=0:bframes=3:b-adapt=0:log-level=none"
_X264 = {"x264-params": f"{_GOP}:b-pyramid=2"}
_OPEN = {"x264-params": f"{_GOP}:b-pyramid=2:open-gop=1"}
_HEVC = {"x265-params": f"{_GOP}:open-gop=1"}
_VPX = {"g": "10", "deadline": "realtime", "cpu-used": "8", "b": "1000000"}
_ALTREF = _VPX | {"auto-alt-ref": "1", "lag-in-frames": "16"}
_MPEG = {"bf": "2", "g": "10", "b": "2000000"}
_UNEVEN = [0, 40, 80, 120, 400, 433, 500, 510, 600, 900, *range(1000, 1740, 37)]
_NEGATIVE = [-400 + 40 * k for k in range(30)]
_KEPT = {"avoid_negative_ts": "disabled"}

ROWS = (
    Made(file="b_frames.mp4", codec="libx264", options=_X264),
    Made(file="open_gop.mp4", codec="libx264", options=_OPEN),
    Made(file="open_gop.mkv", codec="libx264", options=_OPEN),
    Made(file="open_gop.ts", codec="libx264", options=_OPEN),
    Made(file="open_gop.avi", codec="libx264", options=_OPEN),
    Made(file="fragments.mp4", codec="libx264", options=_X264, container={"movflags": "frag_keyframe+empty_moov"}),
    Made(file="stream.h264", codec="libx264", options=_OPEN, is_timed=False),
    Made(file="hevc.mp4", codec="libx265", options=_HEVC),
    Made(file="hevc.mkv", codec="libx265", options=_HEVC),
    Made(file="vp9.webm", codec="libvpx-vp9", options=_ALTREF),
    Made(file="vp9.mp4", codec="libvpx-vp9", options=_VPX),
    Made(file="vp8.webm", codec="libvpx", options=_ALTREF),
    Made(file="av1.mkv", codec="libsvtav1", options={"preset": "12", "g": "10", "crf": "20"}, height=64),
    Made(file="mpeg4.avi", codec="mpeg4", options=_MPEG),
    Made(file="mpeg4.mp4", codec="mpeg4", options=_MPEG),
    Made(file="mpeg2.mpg", codec="mpeg2video", options=_MPEG),
    Made(file="mjpeg.avi", codec="mjpeg", pixels="yuvj420p"),
    Made(file="mjpeg_uneven.mov", codec="mjpeg", pixels="yuvj420p", times=_UNEVEN),
    Made(file="even.gif", codec="gif", pixels="gray"),
    Made(file="uneven.gif", codec="gif", pixels="gray", times=[10 * (k * k // 4 + k) for k in range(30)]),
    Made(file="interlaced.mkv", codec="libx264", options={"x264-params": f"{_GOP}:tff=1"}),
    Made(file="interlaced.ts", codec="mpeg2video", options=_MPEG | {"flags": "+ildct+ilme"}),
    Made(file="odd.mkv", codec="libx264", options=_X264, pixels="yuv444p", height=49, width=67),
    Made(file="odd.avi", codec="mpeg4", options=_MPEG, height=49, width=67),
    Made(file="odd.webm", codec="libvpx-vp9", options=_VPX, height=49, width=67),
    Made(file="uneven.mp4", codec="libx264", options=_OPEN, times=_UNEVEN),
    Made(file="uneven.mkv", codec="libx264", options=_OPEN, times=_UNEVEN),
    Made(file="late.mp4", codec="libx264", options=_X264, times=[5000 + 40 * k for k in range(30)]),
    # Matroska cannot hold times below 0: those frames have none.
    Made(file="negative.mkv", codec="libx264", options=_X264, times=_NEGATIVE, container=_KEPT),
    Made(file="negative.mp4", codec="libx264", options=_X264, times=_NEGATIVE, container=_KEPT, shown_from=10),
)


def can_encode(codec: str) -> bool:
    """Whether the installed FFmpeg has this encoder."""
    return codec in av.codecs_available
