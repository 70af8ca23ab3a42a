"""Frames of damaged videos, frames without a time, and the checksum a frame is known by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from selftaught.data.decode.frame_pixels import ONE_THREAD, luma
from selftaught.data.decode.video_frames import Decoded, decode_frames, seal_of, times_of
from selftaught.data.files.file_tree import Unreadable
from tests.data.store.codecs import ROWS, can_encode, number_in, numbered, write

MADE = {made.file: replace(made, count=40, times=None) for made in ROWS}


def decoded(path: Path) -> tuple[list[Decoded], str]:
    """All frames, and what is said at the end."""
    found: list[Decoded] = []
    try:
        found.extend(decode_frames(str(path), 48))
    except Unreadable as unreadable:
        return found, str(unreadable)
    return found, ""


def break_packet(path: Path, *, number: int) -> None:
    """Write noise over the packet of the frame that is shown as `number`, but for its stated length."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        content = bytes(sorted(packets, key=lambda packet: (packet.pts is None, packet.pts))[number])
    data = bytearray(path.read_bytes())
    at = data.index(content) + 4
    data[at : at + len(content) - 4] = np.random.default_rng(0).bytes(len(content) - 4)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("b_frames.mp4", range(11, 20)),  # to the key frame; those of type B before it are predicted from it
        ("open_gop.mkv", range(11, 20)),
        ("hevc.mp4", range(11, 20)),
        ("vp9.mp4", range(14, 20)),
        ("mjpeg.avi", range(14, 15)),
    ],
)
def test_a_broken_stretch_loses_only_that_stretch(tmp_path: Path, name: str, lost: range) -> None:
    if not can_encode(MADE[name].codec):
        pytest.skip(f"the installed FFmpeg has no encoder {MADE[name].codec}")
    path = write(MADE[name], tmp_path)
    whole, _ = decoded(path)
    break_packet(path, number=14)
    found, said = decoded(path)
    numbers = [number_in(one.image) for one in found]
    assert said == ""
    assert numbers == [number for number in range(40) if number not in lost]
    assert all(np.array_equal(one.image, whole[number].image) for one, number in zip(found, numbers, strict=True))
    assert [number for number, one in zip(numbers, found, strict=True) if one.is_after_damage] == [lost.stop]


def test_damage_to_the_end_is_said(tmp_path: Path) -> None:
    path = write(MADE["b_frames.mp4"], tmp_path)
    break_packet(path, number=34)
    found, said = decoded(path)
    assert [number_in(one.image) for one in found] == list(range(31))
    assert said == "Invalid data found when processing input"


def test_frames_without_a_time_lie_between_those_with_one() -> None:
    nan = np.nan
    assert times_of(np.array([nan, nan, 1, nan, 2, nan]), 0.25).tolist() == [0.5, 0.75, 1.0, 1.5, 2.0, 2.25]
    assert times_of(np.array([nan, nan, nan]), 0.5).tolist() == [0.0, 0.5, 1.0]
    assert times_of(np.array([0.0, 2, 1]), 0.5).tolist() == [0.0, 1.0, 2.0]


def frame_of(pixels: NDArray[np.uint8], kind: str) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=kind, **ONE_THREAD)


@pytest.mark.parametrize("kind", ["yuv420p", "yuv444p10le", "rgb24", "gray"])
def test_a_seal_tells_frames_apart(kind: str) -> None:
    frames = [frame_of(numbered(number, 48, 66), kind) for number in (3, 4, 3)]
    first, other, again = (seal_of(luma(frame)[0]) for frame in frames)
    assert first == again != other
    brightness, _ = luma(frames[0])
    assert brightness.shape == (48, 66)
    assert np.abs(brightness.astype(int) - numbered(3, 48, 66)[:, :, 0]).max() < 24  # 16 to 235 where limited
