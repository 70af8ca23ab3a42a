"""Where in a video a clip is."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selftaught.data.batch import Sampling
from selftaught.data.inputs import Clip, Sound
from selftaught.data.modality import MODALITIES
from selftaught.data.store.clips import ClipPlan, nearest
from selftaught.data.store.video_index import VideoIndex
from tests.data.store.videos import PAIRS, counted, numbers, opened, read


def test_consecutive_frames_start_anywhere_that_fits(tmp_path: Path, write_video: Any) -> None:
    write_video(tmp_path / "a.mp4", counted())
    samples = opened(tmp_path, Sampling(inputs={"video": Clip(frames=5)}))
    batch = read(samples, *np.linspace(0, 0.999, 60))
    found = [numbers(clip) for clip in batch["video"]]
    assert all(np.diff(clip).tolist() == [1] * 4 for clip in found)
    assert [clip[0] for clip in found] == sorted(clip[0] for clip in found)
    assert {clip[0] for clip in found} == set(range(16))


def test_frames_by_real_times_of_a_variable_rate(tmp_path: Path, write_video: Any) -> None:
    # Frames 0 to 9 at 25 a second, then a pause of a second, then the rest at 12.5 a second.
    times = [*range(10), *range(35, 55, 2)]
    write_video(tmp_path / "a.mkv", counted(), times=times)
    samples = opened(tmp_path, Sampling(inputs={"video": Clip(frames=4, fps=5.0)}))
    for start in (0.0, 0.3, 0.6, 0.999):
        batch = read(samples, start)
        assert batch.time is not None
        wanted = float(batch.time[0]) + (np.arange(4) - 1.5) / 5
        shown = np.array(times) / 25
        assert numbers(batch["video"][0]) == [int(np.abs(shown - t).argmin()) for t in wanted]


def test_clips_at_a_higher_rate_than_the_videos_are_noted(tmp_path: Path, write_video: Any) -> None:
    write_video(tmp_path / "a.mkv", counted(), fps=25)
    write_video(tmp_path / "b.mkv", counted(), fps=10)
    made = {
        fps: opened(tmp_path, Sampling(inputs={"video": Clip(frames=4, fps=fps)})).notes for fps in (8.0, 25.1, 50.0)
    }
    assert made == {
        8.0: (),
        25.1: (
            "1 of 2 videos have fewer frames a second than --fps 25.1, the slowest 10: frames repeat in their clips",
        ),
        50.0: ("2 of 2 videos have fewer frames a second than --fps 50, the slowest 10: frames repeat in their clips",),
    }


def test_videos_shorter_than_a_clip_are_noted(tmp_path: Path, write_video: Any) -> None:
    for name, frames in (("a", 20), ("b", 9), ("c", 8)):
        write_video(tmp_path / f"{name}.mkv", counted()[:frames])
    made = [opened(tmp_path, Sampling(inputs={"video": Clip(frames=frames, stride=2)})).notes for frames in (4, 5, 6)]
    assert made[0] == ()
    assert made[1] == (
        "1 of 3 videos are left out, such as c.mkv: 8 frames, fewer than the 9 of a clip; fewer --frames, a smaller "
        "--stride or the task's own settings make clips shorter",
    )
    assert made[2][0].startswith("2 of 3 videos are left out, such as b.mkv: 9 frames, fewer than the 11 of a clip; ")


@pytest.mark.parametrize(
    ("clip", "frames"),
    [
        (Clip(frames=5, stride=2), [0, 2, 4, 6, 7]),
        (Clip(frames=4, stride=3), [0, 3, 6, 7]),
        (Clip(frames=7, fps=12.5), [0, 2, 4, 6, 7, 7, 7]),
    ],
)
def test_to_measure_an_encoder_the_last_frame_of_a_short_video_is_held(
    clip: Clip, frames: list[int], tmp_path: Path, write_video: Any
) -> None:
    write_video(tmp_path / "a.mkv", counted())
    write_video(tmp_path / "b.mkv", counted()[:8])
    write_video(tmp_path / "c.mkv", counted()[:1])
    samples = opened(tmp_path, MODALITIES["video"].sampling(clip))
    assert [key for key, _ in samples.skipped] == ["c.mkv"]  # an image is no clip
    given = np.random.default_rng(0).random((20, 3))
    found = samples.read(np.ones(20, np.int64), given).inputs["video"]
    assert [numbers(one) for one in found] == [frames] * 20
    whole = opened(tmp_path, Sampling(inputs={"video": clip}))
    assert [key for key, _ in whole.skipped] == ["b.mkv", "c.mkv"]
    long, same = (each.read(np.zeros(20, np.int64), given).inputs["video"] for each in (samples, whole))
    assert np.array_equal(long, same)
    assert samples.notes[1].startswith(
        "1 of 3 videos are shorter than a clip, so their last frame is held for the rest"
    )


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
    sampling = Sampling(inputs={"video": Clip(frames=1)}, clips_per_video=2, min_gap=1.0)
    samples = opened(tmp_path, sampling)
    rows, length = np.zeros(40000, np.int64), 91 / 25
    spread = samples.spread(rows, np.random.default_rng(0).random((40000, 3)), sampling)[:, 2].reshape(-1, 2) * length
    rejected = np.random.default_rng(1).random((200000, 2)) * length
    rejected = rejected[np.abs(rejected[:, 0] - rejected[:, 1]) >= 1]
    quantiles = np.linspace(0.05, 0.95, 10)
    assert np.allclose(np.quantile(spread.min(1), quantiles), np.quantile(rejected.min(1), quantiles), atol=0.04)
    assert np.allclose(np.quantile(spread.max(1), quantiles), np.quantile(rejected.max(1), quantiles), atol=0.04)


def test_short_videos_are_listed(tmp_path: Path, write_video: Any) -> None:
    write_video(tmp_path / "long.mp4", counted(20))
    write_video(tmp_path / "short.mp4", counted(4))
    samples = opened(tmp_path, Sampling(inputs={"video": Clip(frames=5)}))
    assert samples.keys == ["long.mp4"]
    assert samples.skipped == [("short.mp4", "4 frames, fewer than the 5 of a clip")]
    assert opened(tmp_path, Sampling(inputs={"video": Clip(frames=4, fps=8.0)})).skipped == [
        ("short.mp4", "0.1 s, shorter than a clip of 0.4 s")
    ]
    too_close = opened(tmp_path, Sampling(inputs={"video": Clip(frames=1)}, clips_per_video=2, min_gap=0.5)).skipped
    assert too_close == [("short.mp4", "too short for 2 clips with middles 0.5 s apart")]
    with pytest.raises(
        ValueError, match=r"none of the 2 videos .* can be used .*long\.mp4: 20 frames, fewer than the 40"
    ):
        opened(tmp_path, Sampling(inputs={"video": Clip(frames=40)}))


def test_the_nearest_time_equals_a_loop() -> None:
    rng = np.random.default_rng(0)
    for count in (1, 2, 7):
        times = np.sort(rng.random(count))
        wanted = np.linspace(-0.2, 1.2, 50)
        assert nearest(times, wanted).tolist() == [int(np.abs(times - t).argmin()) for t in wanted]


def index_of(times: list[list[float]], sound: list[tuple[float, int]]) -> VideoIndex:
    """Videos with frames at these times, and sound that begins at a time and has so many samples at 16 kHz."""
    columns: dict[str, Any] = {field.name: np.zeros(len(times), np.int64) for field in fields(VideoIndex)}
    columns |= {
        "frames": np.array([len(own) for own in times]),
        "times": np.concatenate([np.array(own) for own in times]),
        "segment_video": np.arange(len(times)),
        "segment_first": np.zeros(len(times), np.int64),
        "segment_stop": np.array([len(own) for own in times]),
        "sound_start": np.array([start for start, _ in sound]),
        "sound_samples": np.array([count for _, count in sound]),
    }
    return VideoIndex(**columns)


def test_the_middle_keeps_to_where_frames_and_sound_are_whole() -> None:
    seconds = [i / 10 for i in range(41)]
    index = index_of([seconds, seconds, seconds], [(1.0, 2 * 16000), (0.0, 16000 * 9 // 10), (0.0, 0)])
    plan = ClipPlan(index, Sampling(inputs={"video": Clip(frames=1), "audio": Sound(seconds=1.0)}))
    assert (plan.earliest[0], plan.latest[0]) == (1.5, 2.5)
    assert plan.earliest[1] == plan.latest[1] == 0.45  # never whole: the one place with most of it
    assert plan.unusable == {2: "no sound"}
    clip = plan.at(0, np.array([0.5, 0.5, 0.5]))
    assert (clip.middle, clip.frames.tolist(), clip.sound_first) == (2.0, [20], 8000)


def test_a_clip_by_rate_takes_the_frames_nearest_to_its_times() -> None:
    plan = ClipPlan(
        index_of([[i / 10 for i in range(21)]], [(0.0, 0)]), Sampling(inputs={"video": Clip(frames=3, fps=5.0)})
    )
    assert plan.at(0, np.array([0.5, 0.5, 0.0])).frames.tolist() == [0, 2, 4]
    assert plan.at(0, np.array([0.5, 0.5, 1.0])).frames.tolist() == [16, 18, 20]


def cut_index(pieces: list[tuple[int, int]], count: int = 60) -> VideoIndex:
    """One video of 10 frames a second, whose segments are these."""
    whole = index_of([[i / 10 for i in range(count)]], [(0.0, 0)])
    return replace(
        whole,
        segment_video=np.zeros(len(pieces), np.int64),
        segment_first=np.array([first for first, _ in pieces]),
        segment_stop=np.array([stop for _, stop in pieces]),
    )


@pytest.mark.parametrize("clip", [Clip(frames=3, stride=2), Clip(frames=3, fps=5.0)])
def test_clips_stay_in_their_segment_and_use_all_of_each(clip: Clip) -> None:
    pieces = [(2, 20), (20, 25), (25, 28), (31, 60)]  # the third is too short, and the second as long as a clip
    plan = ClipPlan(cut_index(pieces), Sampling(inputs={"video": clip}))
    assert plan.unusable == {}
    seen = [plan.at(0, np.array([0.5, 0.5, draw])).frames for draw in np.linspace(0, 1, 400)]
    assert all(np.diff(frames).tolist() == [2, 2] for frames in seen)
    starts = [int(frames[0]) for frames in seen]
    assert starts == sorted(starts)
    assert set(starts) == {*range(2, 16), 20, *range(31, 56)}
    # Each place is drawn about as often, that of the shortest segment too.
    counts = np.bincount(starts)[sorted(set(starts))]
    assert counts.min() > 0.3 * counts.mean()
    short = ClipPlan(cut_index([(0, 3), (3, 7)]), Sampling(inputs={"video": clip}))
    assert list(short.unusable) == [0]
    assert short.unusable[0].startswith("its longest piece without a cut or damage: ")


def test_clips_of_one_video_keep_their_distance_over_cuts() -> None:
    sampling = Sampling(inputs={"video": Clip(frames=3)}, clips_per_video=2, min_gap=1.0)
    plan = ClipPlan(cut_index([(0, 14), (14, 17), (22, 40), (40, 60)]), sampling)
    rng = np.random.default_rng(0)
    for _ in range(300):
        drawn = plan.spread(np.zeros(2, np.int64), rng.random(2), 1.0)
        middles = [plan.at(0, np.array([0.5, 0.5, draw])).middle for draw in drawn]
        assert abs(middles[0] - middles[1]) >= 1 - 1e-9
    tight = ClipPlan(cut_index([(0, 5), (5, 10)], 10), sampling)
    assert tight.unusable == {0: "too short for 2 clips with middles 1 s apart"}
