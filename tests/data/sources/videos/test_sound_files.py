"""Images with sound, and sound alone: what is seen and heard, what is left out, who may learn from it."""

from __future__ import annotations

import contextlib
import tarfile
from pathlib import Path, PurePath

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from selftaught.data.batch import Sampling
from selftaught.data.inputs import Image, Sound
from selftaught.data.passing_samples import PassingClips
from selftaught.data.sources.open import open_source
from selftaught.data.sources.shards import find_shards
from selftaught.data.sources.videos.sound_files import draw_sound
from selftaught.data.store.open import open_samples
from selftaught.data.store.video_samples import VideoSamples
from selftaught.data.stream import Stream
from tests.data.sources.videos.sounds_of import tone, write_sound

SOUND = frozenset({"video", "audio"})
HEARD = frozenset({"audio", "label"})
SAMPLING = Sampling(inputs={"image": Image(), "audio": Sound(seconds=0.5)})


def draw(path: Path, colour: tuple[int, int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.new("RGB", (40, 30), colour).save(path)


def test_an_image_is_seen_for_as_long_as_its_sound(tmp_path: Path) -> None:
    for name, colour in (("a", (255, 0, 0)), ("b", (0, 0, 255)), ("mute", (9, 9, 9)), ("broken", (9, 9, 9))):
        draw(tmp_path / f"{name}.png", colour)
    write_sound(tmp_path / "a.wav", np.concatenate([tone(1.0, 800), tone(1.0, 1600)]))
    write_sound(tmp_path / "b.flac", tone(1.0, 440))
    (tmp_path / "broken.wav").write_bytes(b"")
    source = open_source(str(tmp_path), split="train", needs=SOUND, held_out=0.0)
    assert source.provides == {"video", "image", "audio"}
    assert [entry.key for entry in source.entries] == ["a.png", "b.png"]
    assert dict(source.skipped) == {"mute.png": "no sound beside it", "broken.wav": "the file is empty"}
    samples = open_samples(source, side=24, sampling=SAMPLING, cache_limit_gb=1.0, workers=1)
    batch = samples.read(np.array([0, 0, 1]), np.array([[0.5, 0.5, place] for place in (0.0, 1.0, 0.5)]))
    assert batch.inputs["image"][:, 4, 4].tolist() == [[255, 0, 0], [255, 0, 0], [0, 0, 255]]
    found = [np.abs(np.fft.rfft(sound)).argmax() / 0.5 for sound in batch.inputs["audio"]]
    assert [round(hertz) for hertz in found] == [800, 1600, 440]


def test_broken_images_are_left_out(tmp_path: Path) -> None:
    for name in ("a", "b"):
        draw(tmp_path / f"{name}.png", (9, 9, 9))
        write_sound(tmp_path / f"{name}.wav", tone(1.0))
    (tmp_path / "b.png").write_bytes(b"no image")
    source = open_source(str(tmp_path), split="train", needs=SOUND, held_out=0.0)
    samples = open_samples(source, side=24, sampling=SAMPLING, cache_limit_gb=1.0, workers=1)
    assert samples.keys == ["a.png"]
    assert [key for key, _ in samples.skipped] == ["b.png"]


@pytest.mark.parametrize("ending", [".tar", ".tar.gz"])
def test_tars_give_the_images_with_sound_that_a_folder_gives(tmp_path: Path, ending: str) -> None:
    """Sounds of 0.05 to 10 s for a window of 1 s: packed or read in order, the same are used and the same left out."""
    for i, seconds in enumerate((0.05, 0.4, 0.6, 1.0, 3.0, 10.0)):
        draw(tmp_path / "data" / f"s{i}.png", (40 * i, 0, 0))
        write_sound(tmp_path / "data" / f"s{i}.wav", tone(seconds, 400))
    draw(tmp_path / "data" / "s6.png", (9, 9, 9))
    (tmp_path / "tars").mkdir()
    for number in range(2):
        with tarfile.open(tmp_path / "tars" / f"{number}{ending}", "w:gz" if "gz" in ending else "w") as archive:
            for path in sorted(p for p in (tmp_path / "data").iterdir() if int(p.stem[1:]) % 2 == number):
                archive.add(path, path.name)
    sampling = Sampling(inputs={"image": Image(), "audio": Sound(seconds=1.0)})

    def opened(data: str) -> tuple[list[str], dict[str, str]]:
        source = open_source(str(tmp_path / data), split="train", needs=SOUND, held_out=0.0)
        samples = open_samples(source, side=24, sampling=sampling, cache_limit_gb=1.0, workers=1)
        left_out = {PurePath(key).name: why for key, why in samples.skipped}
        assert isinstance(samples, VideoSamples)
        return [PurePath(key).name for key in samples.keys], left_out

    used, left_out = opened("data")
    assert used == [f"s{i}.png" for i in range(2, 6)]
    assert left_out == {
        "s0.png": "0.1 s of sound, too little for 1 s",
        "s1.png": "0.4 s of sound, too little for 1 s",
        "s6.png": "no sound beside it",
    }
    if ending == ".tar":
        assert [sorted(found) for found in opened("tars")] == [sorted(used), sorted(left_out)]
        assert opened("tars")[1] == left_out
    shards = find_shards(str(tmp_path / "tars"))
    assert shards is not None
    assert shards.kind_for(SOUND) == "still"
    assert shards.kind_for(frozenset({"image"})) == "image"
    assert shards.kind_for(frozenset({"video"})) is None
    passing = PassingClips(side=24, sampling=sampling, kind="still")
    with contextlib.closing(
        Stream(shards, passing, count=4, batch_size=4, seed=0, device=torch.device("cpu"), window=4)
    ) as stream:
        batches = [stream.batch(step) for step in range(2)]
        red = sorted(int(value) for value in batches[0]["image"][:, 0, 4, 4])
        assert red == [80, 120, 160, 200]
        assert batches[1]["audio"].shape == (4, 16000)
        assert {PurePath(key).name: why for key, why in stream.skipped} == left_out


def test_tars_with_sound_of_other_names_are_refused_with_what_to_do(tmp_path: Path) -> None:
    draw(tmp_path / "00.png", (9, 9, 9))
    write_sound(tmp_path / "walk.wav", tone(1.0))
    with tarfile.open(tmp_path / "a.tar", "w") as archive:  # a folder of frames, which is a video in a folder or zip
        archive.add(tmp_path / "00.png", "walk/00.png")
        archive.add(tmp_path / "walk.wav", "walk.wav")
    with pytest.raises(ValueError, match=r"^sound is needed, but no file of sound in the tars of .* \(such as a.tar/"):
        open_source(str(tmp_path / "a.tar"), split="train", needs=SOUND)
    assert len(open_source(str(tmp_path / "a.tar"), split="train", needs=frozenset({"image"}))) == 1


def test_images_without_any_sound_are_refused_with_advice(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", (9, 9, 9))
    with pytest.raises(ValueError, match=r"sound is needed, but .* holds images without it .* files of sound \(\.wav"):
        open_source(str(tmp_path), split="train", needs=SOUND)


def test_files_of_sound_are_for_encoders_of_sound_alone(tmp_path: Path) -> None:
    for n, word in enumerate(("bin", "lay")):
        for i in range(2):
            write_sound(tmp_path / "train" / word / f"{i}.wav", tone(1.0, 800 * (n + 1)))
        write_sound(tmp_path / "test" / word / "2.wav", tone(1.0, 800 * (n + 1)))
    parts = {split: open_source(str(tmp_path), split=split, needs=HEARD) for split in ("train", "test")}
    assert parts["train"].provides == {"audio", "label"}
    assert parts["train"].classes == ("bin", "lay")
    assert [entry.label for entry in parts["train"].entries] == [0, 0, 1, 1]
    samples = open_samples(parts["test"], side=24, sampling=SAMPLING, cache_limit_gb=1.0, workers=1)
    batch = samples.read(np.array([0, 1]), np.full((2, 3), 0.5))
    found = [round(np.abs(np.fft.rfft(sound)).argmax() / 0.5) for sound in batch.inputs["audio"]]
    assert found == [800, 1600]
    # What is shown of them is the spectrogram: the pitch of the second is higher up.
    rows = [int(image.astype(int).sum((1, 2)).argmax()) for image in batch.inputs["image"]]
    assert rows[1] < rows[0]
    with pytest.raises(ValueError, match=r"holds no images, videos, .* files among its 6 files \(6 \.wav\)"):
        open_source(str(tmp_path), split="train", needs=SOUND)


def test_the_spectrogram_shows_when_and_how_high(tmp_path: Path) -> None:
    file = write_sound(tmp_path / "a.wav", np.concatenate([np.zeros(8000, np.float32), tone(0.5, 3000)]))
    drawn = draw_sound(lambda: str(file))[:, :, 0].astype(int)
    assert drawn.shape == (64, 96)
    assert drawn[:, 55:].max(0).min() > 200
    assert drawn[:, :38].max() < 20
    assert abs(int(drawn[:, 70].argmax()) - (63 - 3000 / 125)) <= 1


def test_sounds_that_cannot_be_read_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"none of the 1 files of sound of .* can be read \(the first, a\.wav: "):
        open_source(str(tmp_path), split="train", needs=HEARD)
