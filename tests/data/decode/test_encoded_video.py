"""Videos inside of larger files are decoded as files are."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selftaught.data.decode.encoded_video import EncodedVideo, PartOfFile
from selftaught.data.decode.video import decode_sound, read_header
from selftaught.data.decode.video_frames import decode_frames
from selftaught.data.files.file_tree import Unreadable
from tests.data.store.videos import counted, numbers


def test_a_part_of_a_file_reads_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "all").write_bytes(bytes(range(100)))
    descriptor = os.open(tmp_path / "all", os.O_RDONLY)
    part = PartOfFile(descriptor, 10, 20)
    assert part.read() == bytes(range(10, 30))
    assert part.read(4) == b""
    assert (part.seek(-3, os.SEEK_END), part.tell(), part.read(9)) == (17, 17, bytes((27, 28, 29)))
    assert part.seek(5) == 5
    assert (part.seek(2, os.SEEK_CUR), part.read(1)) == (7, bytes((17,)))
    os.close(descriptor)


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".avi", ".mpg"])
def test_frames_and_sound_are_those_of_the_file(tmp_path: Path, write_video: Any, suffix: str) -> None:
    beep = np.sin(np.arange(44100) / 8).astype(np.float32) / 2
    path = write_video(tmp_path / f"clip{suffix}", counted(12), sound=beep, rate=48000)
    inside = EncodedVideo(lambda: io.BytesIO(path.read_bytes()))
    assert read_header(inside) == read_header(str(path))
    found, known = ([*decode_frames(video, 32)] for video in (inside, str(path)))
    assert [one.time for one in found] == [one.time for one in known]
    assert all(np.array_equal(one.image, other.image) for one, other in zip(found, known, strict=True))
    assert numbers(np.stack([one.image for one in found])) == list(range(12))
    heard = [np.concatenate([piece for _, piece in decode_sound(video)]) for video in (inside, str(path))]
    assert np.array_equal(heard[0], heard[1])


def test_what_cannot_be_opened_is_unreadable_with_its_reason() -> None:
    def gone() -> io.BytesIO:
        raise Unreadable("cut off in a.tar")

    for video, why in (
        (EncodedVideo(gone), "cut off in a.tar"),
        (EncodedVideo(lambda: io.BytesIO(b"x")), "it is a text file, not a video"),
    ):
        with pytest.raises(Unreadable, match=why):
            read_header(video)
