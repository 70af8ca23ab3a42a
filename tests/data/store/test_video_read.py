"""Frames and sound of clips, packed or decoded as they are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from selftaught.data.batch import Sampling
from selftaught.data.inputs import Clip, Sound
from selftaught.data.store.samples import HostBatch
from tests.data.store.codecs import ROWS, Made, can_encode, number_in, write
from tests.data.store.videos import PAIRS, draws, moving, opened, read


def test_one_window_for_all_frames_and_no_squashing(tmp_path: Path, write_video: Any) -> None:
    ramp = np.broadcast_to(np.arange(96, dtype=np.uint8)[None, None, :, None] * 2, (6, 48, 96, 3)).copy()
    write_video(tmp_path / "a.mp4", ramp)
    samples = opened(tmp_path, Sampling(inputs={"video": Clip(frames=6)}), side=24)
    batch = samples.read(np.zeros(3, np.int64), np.array([[0.5, 0.0, 0.0], [0.5, 0.5, 0.0], [0.5, 0.999, 0.0]]))
    assert batch["video"].shape == (3, 6, 24, 24, 3)
    left = batch["video"][:, :, :, 0].mean((2, 3))
    assert np.ptp(left, axis=1).max() <= 2
    assert np.abs(left[:, 0] - [1, 49, 97]).max() < 6
    assert np.diff(batch["video"][1, 0, 12, :, 0].astype(int)).mean() == pytest.approx(4, abs=0.5)


def test_a_late_sound_track_is_aligned(tmp_path: Path) -> None:
    """Sound that begins 0.5 s after the image is silence before, not shifted."""
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        video: Any = container.add_stream("mpeg4", rate=25)
        video.width = video.height = 32
        video.pix_fmt = "yuv420p"
        voice: Any = container.add_stream("pcm_s16le", rate=16000, layout="mono")
        for _ in range(50):
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.full((32, 32, 3), 99, np.uint8), format="rgb24")))
        container.mux(video.encode(None))
        noise = np.random.default_rng(0).integers(-20000, 20000, (1, 24000)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(noise, format="s16", layout="mono")
        frame.sample_rate, frame.pts = 16000, 8000
        container.mux(voice.encode(frame))
        container.mux(voice.encode(None))
    samples = opened(tmp_path, Sampling(inputs={"video": Clip(frames=50), "audio": Sound(seconds=1.96)}))
    heard = read(samples, 0.0)["audio"]
    assert heard is not None
    assert np.abs(heard[0, : 8000 - 200]).max() == 0
    assert np.array_equal(heard[0, 8000:20000], (noise[0, :12000] / 32768).astype(np.float32))


def assert_same(first: HostBatch, second: HostBatch) -> None:
    assert list(first.inputs) == list(second.inputs)
    assert np.array_equal(first.index, second.index)
    assert first.time is not None
    assert second.time is not None
    assert np.array_equal(first.time, second.time)
    for name, one in first.inputs.items():
        assert one.dtype == second[name].dtype
        assert one.flags.c_contiguous
        assert np.array_equal(one, second[name]), name


@pytest.mark.parametrize(
    ("name", "sampling"),
    [
        ("av_clips", PAIRS),
        ("av_clips", Sampling(inputs={"video": Clip(frames=6, fps=10.0)})),
        ("asl_letters12", Sampling(inputs={"video": Clip(frames=8)})),
        ("weizmann4", Sampling()),
    ],
)
def test_on_the_fly_gives_the_same(
    shared_data: Callable[[str], Path], tmp_path: Path, name: str, sampling: Sampling
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    # The smallest files of every kind (mp4, avi, mpg) keep the test short.
    files = sorted(shared_data(name).rglob("*.*"), key=lambda file: file.stat().st_size)
    for suffix in (".mp4", ".avi", ".mpg"):
        for file in [f for f in files if f.suffix == suffix][:2]:
            (folder / f"{file.parent.name}_{file.name}").symlink_to(file)
    packed, live = (opened(folder, sampling, limit=limit) for limit in (50.0, 1e-9))
    assert packed.keys == live.keys
    rows = np.arange(len(packed)).repeat(4)
    places = packed.spread(rows, np.random.default_rng(0).random((len(rows), 3)), sampling)
    assert_same(packed.read(rows, places), live.read(rows, places))


def test_a_file_that_goes_away_is_replaced_and_listed(tmp_path: Path, write_video: Any) -> None:
    for name in "ab":
        write_video(tmp_path / f"{name}.mp4", moving(12))
    samples = opened(tmp_path, Sampling(inputs={"video": Clip(frames=3)}), limit=1e-9)
    (tmp_path / "a.mp4").unlink()
    batch = samples.read(np.array([0, 1, 0]), draws(0.0, 0.5, 0.9))
    assert batch.index.tolist() == [1, 1, 1]
    assert samples.skipped == [("a.mp4", "cannot be read any more")]
    (tmp_path / "b.mp4").unlink()
    with pytest.raises(ValueError, match="none of the videos can be read any more"):
        samples.read(np.array([0]), draws(0.0))


@pytest.mark.parametrize("made", ROWS, ids=[made.file for made in ROWS])
def test_the_frame_at_a_time_is_the_one_a_full_decode_shows(tmp_path: Path, made: Made) -> None:
    if not can_encode(made.codec):
        pytest.skip(f"the installed FFmpeg has no encoder {made.codec}")
    write(made, tmp_path)
    seconds = made.seconds()
    wanted = np.unique([*range(0, len(seconds), 4), 5, 11, len(seconds) - 1])
    packed, live = (opened(tmp_path, Sampling(), side=made.height, limit=limit) for limit in (50.0, 1e-9))
    places = draws(*seconds[wanted] / seconds[-1])
    rows = np.zeros(len(wanted), np.int64)
    shown = packed.read(rows, places)
    assert packed.num_frames.tolist() == [len(seconds)]
    assert shown.time == pytest.approx(seconds[wanted], abs=1e-3)
    assert [number_in(frame) for frame in shown["image"]] == (made.shown_from + wanted).tolist()
    assert_same(shown, live.read(rows, places))
    assert packed.skipped == []
