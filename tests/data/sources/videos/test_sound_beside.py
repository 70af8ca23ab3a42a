"""Files of sound beside videos and folders of frames: which is whose, what is heard, what cannot be."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from selftaught.data.batch import Sampling
from selftaught.data.files.file_tree import FolderTree
from selftaught.data.files.hints import Hints
from selftaught.data.inputs import Clip, Sound
from selftaught.data.sources.base import Source
from selftaught.data.sources.open import open_source
from selftaught.data.sources.videos.sound_beside import sounds_beside, sounds_of, why_unheard
from selftaught.data.store.open import open_samples
from selftaught.data.store.samples import NothingReadable, Samples
from tests.data.sources.videos.frames_of import write_clips
from tests.data.sources.videos.sounds_of import tone, write_sound
from tests.data.store.videos import moving

SOUND = frozenset({"video", "audio"})
HEARD = Sampling(inputs={"video": Clip(frames=2), "audio": Sound(seconds=0.5)})
FRAMES = moving(20, 32)


def opened(path: Path) -> Source:
    return open_source(str(path), split="train", needs=SOUND, held_out=0.0, hints=Hints(frame_rate=10))


def packed(source: Source, limit: float = 50.0) -> Samples:
    return open_samples(source, side=32, sampling=HEARD, cache_limit_gb=limit, workers=1)


def heard(samples: Samples, row: int = 0, place: float = 0.5) -> NDArray[np.float32]:
    sound: NDArray[np.float32] = samples.read(np.array([row]), np.array([[0.5, 0.5, place]])).inputs["audio"][0]
    return sound


def pitch(sound: NDArray[np.float32]) -> float:
    return float(np.abs(np.fft.rfft(sound)).argmax() / 0.5)


def test_names_say_whose_a_sound_is(tmp_path: Path) -> None:
    for key in ("a.wav", "a.mp3", "in/b.flac", "clip/only.wav", "two/1.wav", "two/2.wav", "clips.wav", "a.mp4"):
        (tmp_path / key).parent.mkdir(exist_ok=True)
        (tmp_path / key).write_bytes(b"")
    tree = FolderTree(tmp_path)
    assert len(sounds_of(tree)) == 7
    assert sounds_beside(tree, ["a.mp4", "in/b.avi", "b.mp4"]) == {"a.mp4": "a.mp3", "in/b.avi": "in/b.flac"}
    folders = sounds_beside(tree, ["clip", "clips", "two", "none"], are_folders=True)
    assert folders == {"clip": "clip/only.wav", "clips": "clips.wav"}
    assert why_unheard(tree, "a.wav") == "the file is empty"
    assert why_unheard(tree, "gone.wav") is not None


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3"])
@pytest.mark.parametrize("pack", [lambda path: path, lambda path: Path(shutil.make_archive(str(path), "zip", path))])
def test_a_video_without_a_track_has_the_sound_beside_it(
    suffix: str, pack: Callable[[Path], Path], tmp_path: Path, write_video: Any
) -> None:
    data = tmp_path / "data"
    write_video(data / "mute.mp4", FRAMES, fps=10)
    write_video(data / "own.mp4", FRAMES, fps=10, sound=tone(2.0, 440), rate=16000)
    write_sound(data / f"mute{suffix}", np.concatenate([tone(1.0, 800), tone(1.0, 1600)]))
    write_sound(data / f"own{suffix}", tone(2.0, 3000))
    source = opened(pack(data))
    assert ("audio" in source.provides, [one.key for one in source.entries]) == (True, ["mute.mp4", "own.mp4"])
    for samples in (packed(source), packed(source, limit=0.0)):
        found = [round(pitch(heard(samples, row, place))) for row, place in ((0, 0.0), (0, 1.0), (1, 0.5))]
        assert found == [800, 1600, 440]
    assert opened(data).fingerprint != open_source(str(data), split="train", needs=frozenset({"video"})).fingerprint


def test_sound_beside_begins_with_the_first_frame(tmp_path: Path, write_video: Any) -> None:
    write_video(tmp_path / "a.mkv", FRAMES[:10], fps=10, times=range(5, 15))  # its clock begins at half a second
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, 24000).astype(np.float32)
    write_sound(tmp_path / "a.wav", sound)
    samples = packed(opened(tmp_path))
    batch = samples.read(np.array([0]), np.array([[0.5, 0.5, 0.3]]))
    assert batch.time is not None
    first = round((float(batch.time[0]) - 0.25) * 16000)
    np.testing.assert_allclose(batch.inputs["audio"][0], sound[first : first + 8000], atol=2e-4)


def test_what_cannot_be_heard_is_listed(tmp_path: Path, write_video: Any) -> None:
    for name in ("none", "broken", "silent", "short", "loud"):
        write_video(tmp_path / f"{name}.mp4", FRAMES, fps=10)
    (tmp_path / "broken.wav").write_text("no sound at all\n")
    write_sound(tmp_path / "silent.wav", np.zeros(32000, np.float32))
    write_sound(tmp_path / "short.wav", tone(0.2))
    write_sound(tmp_path / "loud.wav", tone(1.0))  # half as long as the video
    samples = packed(opened(tmp_path))
    assert samples.keys == ["loud.mp4"]
    told = dict(samples.skipped)
    assert told["none.mp4"] == "no sound track"
    assert told["broken.mp4"].startswith("no sound track, and broken.wav beside it cannot be used: ")
    assert told["silent.mp4"] == "its sound is silent"
    assert told["short.mp4"] == "0.2 s of sound, too little for 0.5 s"
    for place in (0.0, 1.0):
        assert round(pitch(heard(samples, 0, place))) == 440


@pytest.mark.parametrize(
    ("sound", "told"),
    [
        (np.zeros(32000, np.float32), "its sound is silent; give data with sound that can be heard"),
        (tone(0.2), "0.2 s of sound, too little for 0.5 s; give longer sound, or choose shorter windows"),
    ],
)
def test_nothing_to_hear_is_one_sentence(
    sound: NDArray[np.float32], told: str, tmp_path: Path, write_video: Any
) -> None:
    write_video(tmp_path / "a.mp4", FRAMES, fps=10)
    with pytest.raises(ValueError, match=r"none of the 1 videos .* \(the first, a\.mp4: no sound track\); .* a\.wav$"):
        opened(tmp_path)
    write_sound(tmp_path / "a.wav", sound)
    with pytest.raises(NothingReadable, match=f"the first, a.mp4: {told}"):
        packed(opened(tmp_path))


def test_folders_of_frames_have_the_sound_beside_or_in_them(tmp_path: Path) -> None:
    write_clips(tmp_path, "a", "b", "c", count=20)
    with pytest.raises(ValueError, match=r"none of the 3 folders of frames .* a: no file of sound such as a\.wav"):
        opened(tmp_path)
    write_sound(tmp_path / "a.wav", tone(2.0, 800))
    write_sound(tmp_path / "b" / "sound.flac", tone(2.0, 1600))
    source = opened(tmp_path)
    samples = packed(source)
    assert samples.keys == ["a", "b"]
    assert dict(source.skipped)["c"] == "no file of sound such as c.wav beside it"
    assert [round(pitch(heard(samples, row))) for row in (0, 1)] == [800, 1600]
    assert not any("wav" in note for note in source.notes)
