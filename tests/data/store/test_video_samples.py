"""Packed videos: real times, sound in step with the picture, damage listed, and the same frames without a store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from selftaught.data.batch import Sampling
from selftaught.data.decode.video import geometry, read_header, upright
from selftaught.data.sources.video_folder import open_video_folder
from selftaught.data.store.cache import list_stores
from selftaught.data.store.open import open_samples
from selftaught.data.store.samples import HostBatch
from selftaught.data.store.video_samples import VideoSamples

PAIRS = Sampling(frames=1, audio_seconds=1.0, clips_per_video=2, min_gap=1.0)


def opened(
    path: Path, sampling: Sampling, *, side: int = 32, limit: float = 50.0, held_out: float = 0.0
) -> VideoSamples:
    needs = frozenset({"video", "audio"} if sampling.audio_seconds else {"video"})
    source = open_video_folder(path, split="train", needs=needs, seed=0, held_out=held_out)
    samples = open_samples(source, side=side, sampling=sampling, cache_limit_gb=limit, workers=2)
    assert isinstance(samples, VideoSamples)
    return samples


def draws(*starts: float) -> NDArray[np.float64]:
    return np.array([[0.5, 0.5, start] for start in starts])


def read(samples: VideoSamples, *starts: float) -> HostBatch:
    return samples.read(np.zeros(len(starts), np.int64), draws(*starts))


def counted(count: int = 20, height: int = 32, width: int = 32) -> NDArray[np.uint8]:
    """Frames that are all of one grey level: 10 times their number plus 20."""
    level = (20 + 10 * np.arange(count)).astype(np.uint8)
    return np.broadcast_to(level[:, None, None, None], (count, height, width, 3)).copy()


def numbers(frames: NDArray[np.uint8]) -> list[int]:
    """Numbers of `counted` frames (T, H, W, 3)."""
    return [round(float(level - 20) / 10) for level in frames.mean((1, 2, 3))]


def moving(count: int, side: int = 48, seed: int = 0) -> NDArray[np.uint8]:
    """A bright square that crosses a textured ground."""
    rng = np.random.default_rng(seed)
    ground = np.kron(rng.integers(40, 160, (side // 8, side // 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    frames = np.repeat(ground[None], count, 0)
    for t in range(count):
        x = int(t * (side - 12) / max(1, count - 1))
        frames[t, 10:22, x : x + 12] = 255
    return frames


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".mpg", ".webm", ".mov"])
def test_every_container_gives_its_frames(tmp_path: Path, write_video: Any, suffix: str) -> None:
    write_video(tmp_path / f"a{suffix}", counted())
    samples = opened(tmp_path, Sampling(frames=20))
    clip = read(samples, 0.0).video
    assert clip is not None
    assert clip.shape == (1, 20, 32, 32, 3)
    assert numbers(clip[0]) == list(range(20))


def test_consecutive_frames_start_anywhere_that_fits(tmp_path: Path, write_video: Any) -> None:
    write_video(tmp_path / "a.mp4", counted())
    samples = opened(tmp_path, Sampling(frames=5))
    batch = read(samples, *np.linspace(0, 0.999, 60))
    assert batch.video is not None
    found = [numbers(clip) for clip in batch.video]
    assert all(np.diff(clip).tolist() == [1] * 4 for clip in found)
    assert [clip[0] for clip in found] == sorted(clip[0] for clip in found)
    assert {clip[0] for clip in found} == set(range(16))


def test_frames_by_real_times_of_a_variable_rate(tmp_path: Path, write_video: Any) -> None:
    # Frames 0 to 9 at 25 a second, then a pause of a second, then the rest at 12.5 a second.
    times = [*range(10), *range(35, 55, 2)]
    write_video(tmp_path / "a.mkv", counted(), times=times)
    samples = opened(tmp_path, Sampling(frames=4, fps=5.0))
    for start in (0.0, 0.3, 0.6, 0.999):
        batch = read(samples, start)
        assert batch.video is not None
        assert batch.time is not None
        wanted = float(batch.time[0]) + (np.arange(4) - 1.5) / 5
        shown = np.array(times) / 25
        assert numbers(batch.video[0]) == [int(np.abs(shown - t).argmin()) for t in wanted]


def test_images_of_videos_are_single_frames(tmp_path: Path, write_video: Any) -> None:
    write_video(tmp_path / "a.mp4", counted())
    batch = read(opened(tmp_path, Sampling()), 0.0, 0.5, 0.999)
    assert batch.video is None
    assert batch.image is not None
    assert batch.image.shape == (3, 32, 32, 3)
    assert numbers(batch.image)[0] == 0
    assert numbers(batch.image)[2] == 19


def test_one_window_for_all_frames_and_no_squashing(tmp_path: Path, write_video: Any) -> None:
    ramp = np.broadcast_to(np.arange(96, dtype=np.uint8)[None, None, :, None] * 2, (6, 48, 96, 3)).copy()
    write_video(tmp_path / "a.mp4", ramp)
    samples = opened(tmp_path, Sampling(frames=6), side=24)
    batch = samples.read(np.zeros(3, np.int64), np.array([[0.5, 0.0, 0.0], [0.5, 0.5, 0.0], [0.5, 0.999, 0.0]]))
    assert batch.video is not None
    assert batch.video.shape == (3, 6, 24, 24, 3)
    left = batch.video[:, :, :, 0].mean((2, 3))
    assert np.ptp(left, axis=1).max() <= 2
    assert np.abs(left[:, 0] - [1, 49, 97]).max() < 6
    assert np.diff(batch.video[1, 0, 12, :, 0].astype(int)).mean() == pytest.approx(4, abs=0.5)


def test_flash_and_beep_stay_together(tmp_path: Path, write_video: Any) -> None:
    rate, at = 44100, 2.4
    frames = np.full((100, 32, 32, 3), 20, np.uint8)
    frames[60:63] = 250
    sound = np.zeros(4 * rate, np.float32)
    sound[int(at * rate) : int((at + 0.12) * rate)] = 0.8 * np.sin(np.arange(int(0.12 * rate)) / 7)
    for suffix in (".mp4", ".mkv", ".avi"):
        folder = tmp_path / suffix[1:]
        write_video(folder / f"a{suffix}", frames, sound=sound, rate=rate)
        samples = opened(folder, Sampling(frames=1, audio_seconds=1.0))
        batch = read(samples, *np.linspace(0, 0.999, 80))
        assert batch.video is not None
        assert batch.audio is not None
        assert batch.time is not None
        assert batch.audio.shape == (80, 16000)
        bright = batch.video.mean((1, 2, 3, 4)) > 130
        assert np.abs(batch.time[bright] - (at + 0.04)).max() < 0.09
        for time, heard in zip(batch.time, batch.audio, strict=True):
            onset = at - (time - 0.5)
            loud = np.flatnonzero(np.abs(heard) > 0.2)
            if 0.05 < onset < 0.95:
                assert loud[0] / 16000 == pytest.approx(onset, abs=0.03)
            elif not -0.2 < onset < 1.05:
                assert not len(loud)


def test_a_late_sound_track_is_aligned(tmp_path: Path) -> None:
    """Sound that begins 0.5 s after the picture is silence before, not shifted."""
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
    samples = opened(tmp_path, Sampling(frames=50, audio_seconds=1.96))
    heard = read(samples, 0.0).audio
    assert heard is not None
    assert np.abs(heard[0, : 8000 - 200]).max() == 0
    assert np.array_equal(heard[0, 8000:20000], (noise[0, :12000] / 32768).astype(np.float32))


def test_sound_windows_are_whole_where_they_can_be(tmp_path: Path, write_video: Any) -> None:
    sound = np.full(3 * 16000, 0.5, np.float32) * np.sin(np.arange(48000) / 5).astype(np.float32)
    write_video(tmp_path / "a.avi", counted(75), sound=sound, rate=16000)
    samples = opened(tmp_path, Sampling(frames=1, audio_seconds=1.0))
    batch = read(samples, *np.linspace(0, 0.999, 20))
    assert batch.audio is not None
    assert (np.abs(batch.audio).reshape(20, 100, 160).max(2) > 0.1).all()


def test_pairs_of_one_video_keep_their_distance(tmp_path: Path, write_video: Any) -> None:
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, 64000).astype(np.float32)
    write_video(tmp_path / "a.avi", counted(23).repeat(4, 0), sound=sound, rate=16000)
    samples = opened(tmp_path, PAIRS)
    rows = np.zeros(400, np.int64)
    given = np.random.default_rng(1).random((400, 3))
    spread = samples.spread(rows, given, PAIRS)
    time = samples.read(rows, spread).time
    assert time is not None
    pairs = time.reshape(200, 2)
    gap = np.abs(pairs[:, 1] - pairs[:, 0])
    assert gap.min() >= 1 - 1e-4
    assert gap.max() > 2
    # Neither of a pair is always the earlier one, and the whole video is used.
    assert 60 < (pairs[:, 0] < pairs[:, 1]).sum() < 140
    assert time.min() < 0.6
    assert time.max() > 3.0
    assert np.array_equal(spread[:, :2], given[:, :2])


def test_spread_is_uniform_over_all_places_with_the_gap(tmp_path: Path, write_video: Any) -> None:
    write_video(tmp_path / "a.mp4", counted(23).repeat(4, 0))
    sampling = Sampling(frames=1, clips_per_video=2, min_gap=1.0)
    samples = opened(tmp_path, sampling)
    rows, length = np.zeros(40000, np.int64), 91 / 25
    spread = samples.spread(rows, np.random.default_rng(0).random((40000, 3)), sampling)[:, 2].reshape(-1, 2) * length
    rejected = np.random.default_rng(1).random((200000, 2)) * length
    rejected = rejected[np.abs(rejected[:, 0] - rejected[:, 1]) >= 1]
    quantiles = np.linspace(0.05, 0.95, 10)
    assert np.allclose(np.quantile(spread.min(1), quantiles), np.quantile(rejected.min(1), quantiles), atol=0.04)
    assert np.allclose(np.quantile(spread.max(1), quantiles), np.quantile(rejected.max(1), quantiles), atol=0.04)


def test_evaluation_clips_are_evenly_spaced(tmp_path: Path, write_video: Any) -> None:
    write_video(tmp_path / "a.mp4", counted())
    samples = opened(tmp_path, Sampling(frames=1))
    views = samples.eval_draws(1, 10)
    assert [view.shape for view in views] == [(1, 3)] * 10
    found = [numbers(read(samples, view[0, 2]).video[0])[0] for view in views]  # type: ignore[index]
    assert found == sorted(found)
    assert len(set(found)) == 10
    assert set(np.diff(found)) <= {1, 2}


def test_short_videos_are_listed(tmp_path: Path, write_video: Any) -> None:
    write_video(tmp_path / "long.mp4", counted(20))
    write_video(tmp_path / "short.mp4", counted(4))
    samples = opened(tmp_path, Sampling(frames=5))
    assert samples.keys == ["long.mp4"]
    assert samples.skipped == [("short.mp4", "4 frames, fewer than the 5 of a clip")]
    assert opened(tmp_path, Sampling(frames=4, fps=8.0)).skipped == [
        ("short.mp4", "0.1 s, shorter than a clip of 0.4 s")
    ]
    too_close = opened(tmp_path, Sampling(frames=1, clips_per_video=2, min_gap=0.5)).skipped
    assert too_close == [("short.mp4", "too short for 2 clips with middles 0.5 s apart")]
    with pytest.raises(
        ValueError, match=r"none of the 2 videos .* can be used .*long\.mp4: 20 frames, fewer than the 40"
    ):
        opened(tmp_path, Sampling(frames=40))


def test_broken_files_are_skipped_and_listed(tmp_path: Path, write_video: Any) -> None:
    whole = write_video(tmp_path / "whole.mp4", moving(30)).read_bytes()
    (tmp_path / "zero.mp4").write_bytes(b"")
    (tmp_path / "text.avi").write_bytes(b"this is not a video\n" * 50)
    (tmp_path / "headless.mp4").write_bytes(whole[: len(whole) // 2])
    with av.open(str(tmp_path / "sound_only.mkv"), "w") as container:
        voice: Any = container.add_stream("pcm_s16le", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 16000
        container.mux(voice.encode(frame))
    samples = opened(tmp_path, Sampling(frames=5))
    assert samples.keys == ["whole.mp4"]
    reasons = dict(samples.skipped)
    assert set(reasons) == {"zero.mp4", "text.avi", "headless.mp4", "sound_only.mkv"}
    assert reasons["sound_only.mkv"] == "no video stream"
    assert all(reasons.values())
    assert not any(str(tmp_path) in reason for reason in reasons.values())


@pytest.mark.parametrize("suffix", [".mkv", ".avi", ".mpg"])
def test_a_truncated_file_gives_what_came_before(tmp_path: Path, write_video: Any, suffix: str) -> None:
    rng = np.random.default_rng(0)
    noisy = moving(40) // 2 + rng.integers(0, 100, (40, 48, 48, 3)).astype(np.uint8)
    data = write_video(tmp_path / f"whole{suffix}", noisy).read_bytes()
    (tmp_path / f"cut{suffix}").write_bytes(data[: int(len(data) * 0.6)])
    samples = opened(tmp_path, Sampling(frames=2), side=48)
    assert samples.keys == [f"cut{suffix}", f"whole{suffix}"]
    cut, whole = (int(samples.num_frames[row]) for row in (0, 1))
    assert whole == 40
    assert 2 <= cut < 40
    batch = samples.read(np.array([0, 1]), draws(0.0, 0.0))
    assert batch.video is not None
    assert np.array_equal(batch.video[0], batch.video[1])


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_a_damaged_middle_ends_the_video_with_a_note(tmp_path: Path, write_video: Any, suffix: str) -> None:
    rng = np.random.default_rng(0)
    noisy = rng.integers(0, 255, (40, 48, 48, 3)).astype(np.uint8)
    data = bytearray(write_video(tmp_path / f"a{suffix}", noisy).read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4000] = rng.integers(0, 255, 4000).astype(np.uint8).tobytes()
    (tmp_path / f"a{suffix}").write_bytes(data)
    samples = opened(tmp_path, Sampling(frames=2), side=48)
    assert samples.keys == [f"a{suffix}"]
    for limit in (50.0, 1e-9):
        again = opened(tmp_path, Sampling(frames=2), side=48, limit=limit)
        ((key, note),) = again.skipped
        assert key == f"a{suffix}"
        assert f"after {again.num_frames[0]} frames; those are used" in note
        assert again.read(np.zeros(20, np.int64), draws(*np.linspace(0, 1, 20))).video is not None


def test_a_folder_with_nothing_readable_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"")
    with pytest.raises(ValueError, match=r"none of the 1 videos .* can be read; the first, a\.mp4: Invalid data"):
        opened(tmp_path, Sampling(frames=2))


def test_the_store_is_built_once_and_serves_every_sampling(tmp_path: Path, write_video: Any) -> None:
    write_video(tmp_path / "once.mp4", counted())
    calls: list[tuple[int, int]] = []
    source = open_video_folder(tmp_path, split="train", needs=frozenset({"video"}), seed=0, held_out=0.0)
    for sampling in (Sampling(), Sampling(frames=3), Sampling(frames=2, fps=5)):
        open_samples(
            source,
            side=32,
            sampling=sampling,
            cache_limit_gb=1,
            workers=1,
            progress=lambda done, total: calls.append((done, total)),
        )
    assert calls == [(1, 1)]
    (info,) = [store for store in list_stores() if store.data == str(tmp_path)]
    assert (info.kind, info.samples, info.side) == ("videos", 1, 32)


def assert_same(first: HostBatch, second: HostBatch) -> None:
    for name in ("index", "image", "video", "audio", "time"):
        one, other = getattr(first, name), getattr(second, name)
        assert (one is None) == (other is None)
        if one is not None:
            assert one.dtype == other.dtype
            assert one.flags.c_contiguous
            assert np.array_equal(one, other), name


@pytest.mark.parametrize(
    ("name", "sampling"),
    [
        ("av_clips", PAIRS),
        ("av_clips", Sampling(frames=6, fps=10.0)),
        ("asl_letters12", Sampling(frames=8)),
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
    samples = opened(tmp_path, Sampling(frames=3), limit=1e-9)
    (tmp_path / "a.mp4").unlink()
    batch = samples.read(np.array([0, 1, 0]), draws(0.0, 0.5, 0.9))
    assert batch.index.tolist() == [1, 1, 1]
    assert samples.skipped == [("a.mp4", "cannot be read any more")]
    (tmp_path / "b.mp4").unlink()
    with pytest.raises(ValueError, match="none of the videos can be read any more"):
        samples.read(np.array([0]), draws(0.0))


def test_real_clips_have_their_stated_frames_and_sound(shared_data: Callable[[str], Path]) -> None:
    folder = shared_data("weizmann4")
    lines = [line.split(",") for line in (folder / "labels.csv").read_text().splitlines()[1:]]
    stated = {line[0]: int(line[4]) for line in lines}
    samples = opened(folder, Sampling(frames=16), side=64)
    assert samples.labels is not None
    assert len(samples) == 48
    assert {key: int(samples.num_frames[row]) for row, key in enumerate(samples.keys)} == {
        key: stated[key] for key in samples.keys
    }
    for row in (0, 13, 47):
        seconds, _ = samples.clip(row, 0.5)
        assert np.allclose(np.diff(seconds), 1 / 25, atol=1e-6)


def test_upright_and_unsquashed() -> None:
    # Pixels twice as wide as high: a stored 40 x 40 frame is shown 80 wide.
    wide = geometry(40, 40, 2.0, (0, False), 20)
    assert wide.shape == (20, 40)
    turned = geometry(90, 160, 1.0, (3, False), 18)
    assert turned.shape == (32, 18)
    picture = np.zeros((18, 32, 3), np.uint8)
    picture[0, 0] = 255
    # A quarter turn clockwise puts the top left corner at the top right.
    assert upright(picture, turned)[0, -1, 0] == 255
    panorama = geometry(20, 200, 1.0, (0, False), 10)
    assert panorama.shape == (10, 30)


def test_header_is_read_without_decoding(tmp_path: Path, write_video: Any) -> None:
    file = write_video(tmp_path / "a.mp4", counted(25, 48, 64), sound=np.zeros(44100, np.float32))
    header = read_header(str(file))
    assert (header.height, header.width, header.frames, header.has_sound) == (48, 64, 25, True)
    assert header.sound_seconds == pytest.approx(1.0, abs=0.1)
