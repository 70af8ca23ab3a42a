"""Open one video file with PyAV: its header, how its frames become upright and unsquashed, its sound as 16 kHz mono."""

from __future__ import annotations

import math
import sys
from codecs import getincrementaldecoder
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeAlias

import av
import numpy as np
from av.stream import Disposition
from numpy.typing import NDArray

from selftaught.data.decode.encoded_video import EncodedVideo, Track
from selftaught.data.decode.fit import MAX_ASPECT
from selftaught.data.decode.frame_pixels import ToRGB
from selftaught.data.decode.frame_sequence import FrameSequence
from selftaught.data.files.file_tree import Unreadable

Video: TypeAlias = str | EncodedVideo | FrameSequence
"""The local path of a file, a video inside of a file, or frames that are in none."""
Box: TypeAlias = tuple[int, int, int, int]
"""Top, left, height, width of a part of a decoded frame, before it is turned; pixels."""
SOUND_RATE = 16_000
"""Samples a second of decoded sound."""
LEAST_HOLE, LARGEST_HOLE = 0.1, 600.0
"""Seconds without sound inside a track that are filled; smaller ones are jitter, larger ones a broken clock."""
_START = 512
"""Bytes by which text is known."""
MAX_PIXELS = 64_000_000
"""A frame that claims more is refused before it is decoded."""


@dataclass(frozen=True)
class Header:
    """What the container says before anything is decoded; upright sides in pixels of square shape."""

    height: int
    width: int
    frames: float
    """An estimate; 0 where the container does not say."""
    sound_seconds: float
    """0 without sound; an estimate otherwise."""
    has_sound: bool
    seconds: float = 0.0
    """Of its frames; 0 where the container does not state it for them alone."""


@dataclass(frozen=True)
class Geometry:
    """How a stored frame is made: scale the raw frame, cut off bars and the ends of a long side, turn upright."""

    scaled: tuple[int, int]
    """Height and width before the turn, pixels."""
    cut: tuple[int, int]
    """Height and width after the cut, before the turn."""
    corner: tuple[int, int]
    """Top and left of what is left by the cut."""
    quarter_turns: int
    """Anticlockwise."""
    is_mirrored: bool = False
    """Left to right, after the turn."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the upright frame."""
        return (self.cut[1], self.cut[0]) if self.quarter_turns % 2 else self.cut


@contextmanager
def opened(video: str | EncodedVideo) -> Iterator[Any]:
    """An input container; every way in which it may fail becomes `Unreadable` with a short reason."""
    try:
        file = video if isinstance(video, str) else video.open()
        with av.open(file, metadata_errors="replace") as container:
            yield container
    except Unreadable:
        raise
    except av.InvalidDataError as error:
        raise Unreadable(_what_it_is(video) or reason(error)) from error
    # PyAV also raises ValueError and IndexError for broken files.
    except (av.FFmpegError, OSError, ValueError, IndexError) as error:
        raise Unreadable(reason(error)) from error


def _what_it_is(video: str | EncodedVideo) -> str:
    """What a file is that FFmpeg calls invalid data: empty, text, or of no format known; "" where it is a video."""
    try:
        start = _start_of(video if isinstance(video, str) else video.open())
        if not start:
            return "the file is empty"
        if _is_text(start):
            return "it is a text file, not a video"
        with av.open(video if isinstance(video, str) else video.open(), metadata_errors="replace"):
            return ""
    except av.InvalidDataError:
        return "it is not a video in a known format, or its header is lost"
    except (av.FFmpegError, OSError, ValueError, IndexError):
        return ""


def _start_of(file: str | IO[bytes]) -> bytes:
    with Path(file).open("rb") if isinstance(file, str) else file as opened_file:
        return opened_file.read(_START)


def _is_text(start: bytes) -> bool:
    """Whether a file that begins so is a text: no control characters, and UTF-8 up to a character that is cut off."""
    try:
        getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return False
    return all(byte >= 32 or byte in b"\t\n\r\f" for byte in start)


def reason(error: Exception) -> str:
    """The short text of an error, without the path that FFmpeg repeats in it."""
    return str(getattr(error, "strerror", None) or error).split(": '")[0] or type(error).__name__


def read_header(video: Video) -> Header:
    """Sides, length and sound from the container alone; raises `Unreadable`."""
    if isinstance(video, FrameSequence):
        seconds = track_seconds(video.track) if video.track else 0.0
        return Header(*video.shape, video.count, seconds, has_sound=video.track is not None)
    with opened(video) as container:
        stream = first_video_stream(container)
        height, width = stream.height, stream.width
        if not height or not width:
            raise Unreadable("the size of its frames is not stated")
        if height * width > MAX_PIXELS:
            raise Unreadable(f"claims frames of {width} x {height} pixels, more than {MAX_PIXELS // 1_000_000} million")
        seconds = _seconds(stream, container)
        frames = stream.frames or seconds * float(stream.average_rate or 0)
        sound = _sound_stream(container)
        sound_seconds = _seconds(sound, container) if sound is not None else 0.0
        if track := track_of(video):
            sound_seconds = track_seconds(track)
        wide = width * float(stream.sample_aspect_ratio or 1)
        is_stated = stream.duration is not None or (sound is None and "matroska" in container.format.name)
        return Header(
            height=height,
            width=max(1, round(wide)),
            frames=float(frames),
            sound_seconds=sound_seconds,
            has_sound=sound is not None or track is not None,
            seconds=seconds if is_stated else 0.0,
        )


def frame_times(video: str | EncodedVideo) -> NDArray[np.float64]:
    """(T,) seconds at which each frame is shown by the container, rising, without decoding; raises `Unreadable`.

    Where the container does not state them, frames are evenly apart.
    """
    with opened(video) as container:
        stream = first_video_stream(container)
        stamps = [packet.pts for packet in container.demux(stream) if packet.size]
        if not stamps:
            raise Unreadable("no frames")
        if None in stamps:
            return np.arange(len(stamps)) / float(stream.average_rate or 25)
        return np.sort(np.array(stamps, np.float64)) * float(stream.time_base)


class Shrink:
    """Turns decoded frames of one stream into stored ones, all of the shape that the first one gives."""

    def __init__(self, side: int, stream: Any, box: Box | None = None) -> None:
        self.side = side
        self.box = box
        self.pixel_aspect = float(stream.sample_aspect_ratio or 1)
        self.geometry: Geometry | None = None
        self._to_rgb = ToRGB()

    def __call__(self, frame: Any) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB."""
        if self.geometry is None:
            if frame.width * frame.height > MAX_PIXELS:
                raise Unreadable(f"frames of {frame.width} x {frame.height} pixels")
            self.geometry = geometry(
                frame.height, frame.width, self.pixel_aspect, display_turn(frame), self.side, self.box
            )
        return upright(self._to_rgb(frame, *self.geometry.scaled), self.geometry)


def display_turn(frame: Any) -> tuple[int, bool]:
    """How the container says a frame is shown: quarter turns anticlockwise, then whether mirrored left to right.

    `frame.rotation` alone knows no mirror: FFmpeg gives it as a turn by 180 degrees, or as none.
    """
    stored = frame.side_data.get("DISPLAYMATRIX")
    numbers = np.frombuffer(bytes(stored or b"")[:36], "<i4" if sys.byteorder == "little" else ">i4")
    if len(numbers) < 9:
        return 0, False
    # (x, y) is shown at (a x + c y, b x + d y), with y downwards.
    a, b, c, d = (float(numbers[at]) for at in (0, 1, 3, 4))
    is_mirrored = a * d - b * c < 0
    angle = math.degrees(math.atan2(-b, -a if is_mirrored else a))
    return (round(angle / 90) % 4 if a * d - b * c else 0), is_mirrored


def geometry(
    height: int, width: int, pixel_aspect: float, turn: tuple[int, bool], side: int, box: Box | None = None
) -> Geometry:
    """For a raw frame whose pixels are `pixel_aspect` times as wide as high, of which `box` is kept.

    `turn` is that of `display_turn`.
    """
    top, left, high, wide = box or (0, 0, height, width)
    scale = side / min(high, wide * pixel_aspect)
    rows = _scaled(height, scale, top, high, side)
    columns = _scaled(width, scale * pixel_aspect, left, wide, side)
    return Geometry((rows[0], columns[0]), (rows[1], columns[1]), (rows[2], columns[2]), *turn)


def _scaled(length: int, scale: float, start: int, kept: int, side: int) -> tuple[int, int, int]:
    """Of one axis: its scaled length, what is left by the cut, and where that begins."""
    scaled = max(side, round(length * scale))
    inner = scaled if kept == length else min(scaled, max(side, math.floor(kept * scale)))
    first = 0 if kept == length else min(math.ceil(start * scale), scaled - inner)
    cut = min(inner, MAX_ASPECT * side)
    return scaled, cut, first + (inner - cut) // 2


def upright(scaled: NDArray[np.uint8], shape: Geometry) -> NDArray[np.uint8]:
    """Cut, turn and mirror: (H, W, 3) -> contiguous (H', W', 3)."""
    top, left = shape.corner
    kept = scaled[top : top + shape.cut[0], left : left + shape.cut[1]]
    turned = np.rot90(kept, shape.quarter_turns) if shape.quarter_turns else kept
    return np.ascontiguousarray(turned[:, ::-1] if shape.is_mirrored else turned)


def decode_sound(video: Video) -> Iterator[tuple[float, NDArray[np.int16]]]:
    """Pieces of the first sound track as (seconds of the track's first sample, (S,) int16 mono at 16 kHz).

    Holes in the track are filled with silence. Nothing where there is no sound; raises `Unreadable` where the decoder
    meets an error.
    """
    track = track_of(video)
    if isinstance(video, FrameSequence) and track is None:
        return
    with opened(EncodedVideo(track) if track else video) as container:  # type: ignore[arg-type]
        stream = _sound_stream(container)
        if stream is None:
            return
        resampler = av.AudioResampler(format="s16", layout="mono", rate=SOUND_RATE)
        start, heard = 0.0, 0.0
        for number, frame in enumerate(container.decode(stream)):
            if number == 0:
                start = frame.time or 0.0
            hole = (start + heard if frame.time is None else frame.time) - (start + heard)
            if LEAST_HOLE < hole < LARGEST_HOLE:
                heard += hole
                yield start, np.zeros(round(hole * SOUND_RATE), np.int16)
            heard += frame.samples / frame.sample_rate
            # Samples are counted, not timed, so that a clock that jitters by a few of them does no harm.
            frame.pts = None
            for piece in resampler.resample(frame):
                yield start, _samples(piece)
        if heard:
            for piece in resampler.resample(None):
                yield start, _samples(piece)


def _samples(piece: Any) -> NDArray[np.int16]:
    return np.asarray(piece.to_ndarray(), np.int16).reshape(-1)


def track_of(video: Video) -> Track | None:
    """The file with the sound of a video that is not in its container; None where there is none."""
    return None if isinstance(video, str) else video.track


def track_seconds(track: Track) -> float:
    """Length of a file of sound by its header; raises `Unreadable` where it has none."""
    with opened(EncodedVideo(track)) as container:
        stream = _sound_stream(container)
        if stream is None:
            raise Unreadable("it holds no sound")
        return _seconds(stream, container)


def has_sound(video: str | EncodedVideo) -> bool:
    """Whether the container names a sound track; raises `Unreadable`."""
    with opened(video) as container:
        return _sound_stream(container) is not None


def with_own_sound(video: EncodedVideo) -> EncodedVideo:
    """A video whose track is used only where it has no sound of its own, and the track can be read."""
    if video.track is None:
        return video
    try:
        if not has_sound(EncodedVideo(video.open)) and track_seconds(video.track) > 0:
            return video
    except Unreadable:
        pass  # whoever reads the video finds what is wrong with it
    return EncodedVideo(video.open)


def first_video_stream(container: Any) -> Any:
    """The first stream of moving images; raises `Unreadable`."""
    # A cover image of a music file is a "video stream" too.
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            if stream.codec_context is None:
                raise Unreadable("its video codec is unknown")
            return stream
    raise Unreadable("no video stream")


def _sound_stream(container: Any) -> Any:
    return next((s for s in container.streams.audio if s.codec_context is not None and s.rate), None)


def _seconds(stream: Any, container: Any) -> float:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return container.duration / 1e6 if container.duration else 0.0
