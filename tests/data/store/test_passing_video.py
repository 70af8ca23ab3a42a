"""Clips of a video that passes: those of a packed store, whether its frames fit in memory or are sought."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from selftaught.data.batch import Sampling
from selftaught.data.decode.encoded_video import EncodedVideo
from selftaught.data.files.file_tree import Unreadable
from selftaught.data.inputs import Clip, Image, Sound
from selftaught.data.store import passing_video
from selftaught.data.store.passing_video import clips_of
from selftaught.data.store.samples import NothingReadable
from tests.conftest import WriteVideo
from tests.data.sources.videos.sounds_of import tone, write_sound
from tests.data.store.videos import moving, opened

SAMPLING = Sampling(
    inputs={"past": Clip(frames=3, stride=2), "next": Clip(frames=2, after="past"), "image": Image()},
    clips_per_video=2,
    min_gap=0.1,
)
HEARD = Sampling(inputs={"video": Clip(frames=2), "audio": Sound(seconds=0.3)})
DRAWS = np.array([[0.1, 0.9, 0.2], [0.5, 0.3, 0.9]])


def encoded(path: Path) -> EncodedVideo:
    return EncodedVideo(lambda: BytesIO(path.read_bytes()))


@pytest.mark.parametrize("most", [passing_video.MOST_HELD, 0, 5_000], ids=["held", "sought", "longer than it says"])
def test_clips_are_those_of_a_packed_folder(
    cache: Path, tmp_path: Path, write_video: WriteVideo, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    path = write_video(tmp_path / "data" / "a.mp4", moving(30, 40))
    samples = opened(tmp_path / "data", SAMPLING, side=32)
    rows = np.zeros(2, np.int64)
    expected = samples.read(rows, samples.spread(rows, DRAWS))
    monkeypatch.setattr(passing_video, "MOST_HELD", most)
    if most == 5_000:
        monkeypatch.setattr(passing_video, "estimated_bytes", lambda *_: 1.0)
    found = clips_of(encoded(path), SAMPLING, DRAWS, side=32)
    assert found.inputs.keys() == expected.inputs.keys() == {"past", "next", "image"}
    for name, clips in expected.inputs.items():
        assert np.array_equal(found.inputs[name], clips)
    assert expected.time is not None
    assert np.array_equal(found.time, expected.time)
    assert found.note == ""


@pytest.mark.parametrize("most", [passing_video.MOST_HELD, 0])
def test_sound_is_that_of_a_packed_folder(
    cache: Path, tmp_path: Path, write_video: WriteVideo, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    sound = tone(1.2) * np.linspace(0.1, 1, round(1.2 * 16000), dtype=np.float32)
    path = write_video(tmp_path / "data" / "a.avi", moving(30, 32), sound=sound, rate=16000)
    expected = opened(tmp_path / "data", HEARD).read(np.zeros(2, np.int64), DRAWS)
    monkeypatch.setattr(passing_video, "MOST_HELD", most)
    found = clips_of(encoded(path), HEARD, DRAWS, side=32)
    assert found.inputs["audio"].dtype == np.float32
    assert np.abs(found.inputs["audio"]).max() > 0.05
    for name, values in expected.inputs.items():
        assert np.array_equal(found.inputs[name], values)


def test_a_file_beside_is_heard_only_where_there_is_no_other_sound(tmp_path: Path, write_video: WriteVideo) -> None:
    beside = write_sound(tmp_path / "a.wav", tone(1.2, 1000))
    mute = write_video(tmp_path / "a.avi", moving(30, 32))
    loud = write_video(tmp_path / "b.avi", moving(30, 32), sound=tone(1.2, 200), rate=16000)

    def pitch(path: Path) -> float:
        video = EncodedVideo(lambda: BytesIO(path.read_bytes()), lambda: str(beside))
        heard = clips_of(video, HEARD, DRAWS, side=32).inputs["audio"][0]
        return float(np.abs(np.fft.rfft(heard)).argmax() / 0.3)

    assert pitch(mute) == pytest.approx(1000, abs=4)
    assert pitch(loud) == pytest.approx(200, abs=4)


def test_what_cannot_be_cut_says_why_as_a_folder_does(cache: Path, tmp_path: Path, write_video: WriteVideo) -> None:
    cases: list[tuple[Path, Sampling, Callable[[str], bool]]] = []
    short = write_video(tmp_path / "short" / "a.mp4", moving(5, 32))
    long = Sampling(inputs={"video": Clip(frames=8)})
    cases.append((short, long, lambda why: why == "5 frames, fewer than the 8 of a clip"))
    quiet = write_video(tmp_path / "quiet" / "a.avi", moving(30, 32), sound=np.zeros(19200, np.float32), rate=16000)
    cases.append((quiet, HEARD, lambda why: why == "its sound is silent"))
    cases.append((short, HEARD, lambda why: why == "no sound"))
    for path, sampling, is_right in cases:
        with pytest.raises(Unreadable) as raised:
            clips_of(encoded(path), sampling, DRAWS, side=32)
        assert is_right(str(raised.value)), raised.value
        if sampling is long or path is quiet:
            with pytest.raises(NothingReadable, match=str(raised.value)):
                opened(path.parent, sampling)


def test_damage_is_noted(tmp_path: Path, write_video: WriteVideo) -> None:
    path = write_video(tmp_path / "a.mpg", moving(40, 32), gop=8)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    found = clips_of(encoded(path), Sampling(inputs={"video": Clip(frames=2)}), DRAWS, side=32)
    assert found.note == "" or found.note.endswith("; the rest is used")
