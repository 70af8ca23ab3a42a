"""The sound of collisions: when they are, how materials ring, how it fades with distance, and scenes with sound."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from selftaught.data.batch import Sampling
from selftaught.data.inputs import Image, Sound
from selftaught.data.rendered.write import write_world
from selftaught.data.sources.base import Source
from selftaught.data.sources.open import open_source
from selftaught.data.sources.videos.frame_video import FrameVideo
from selftaught.data.sources.world.impacts import (
    MATERIALS,
    PARTIALS,
    Impact,
    Material,
    _modes,
    find_impacts,
    ring,
    wav_of,
)
from selftaught.data.sources.world.motion import Simulation
from selftaught.data.sources.world.settings import WorldSettings
from selftaught.data.sources.world.textures import drawn_textures
from selftaught.data.sources.world.video import Scenes, WorldVideo
from selftaught.data.store.open import open_samples
from tests.data.sources.world.small_scenes import CENTRE, RADIUS, ball_on_ground

pytest.importorskip("mujoco", reason="needs MuJoCo, the extra [world]")
HEARD = frozenset({"video", "audio", "label"})
SMALL = "world:scenes=4,side=24,frames=15,most=8,sound=impacts"


def dropped(speed: float) -> list[Impact]:
    return find_impacts(Simulation(ball_on_ground(gravity=-9.81, velocity=(0, 0, speed)), 20.0), 40)


def test_a_ball_is_heard_when_it_meets_the_ground_and_not_when_it_lies() -> None:
    fall = CENTRE[2] - RADIUS
    found = dropped(2.0)
    first = (2 + math.sqrt(4 + 2 * 9.81 * fall)) / 9.81
    assert found[0].second == pytest.approx(first, abs=0.03)
    assert found[0].bodies == (0, 1)
    assert np.allclose(found[0].place, [CENTRE[0], CENTRE[1], 0], atol=0.05)
    # It comes to rest within the two seconds, on which its weight of 1.5 kN acts on without a sound.
    assert found[-1].second < 1.9
    loudest = [max(one.impulse for one in dropped(speed)) for speed in (0.5, 2.0, 4.0)]
    assert loudest == sorted(loudest)


def test_modes_are_decaying_sines() -> None:
    material = Material(hertz=500, friction=0.02, contact=0.001)
    struck = np.zeros(400)
    struck[3] = 0.5
    found = _modes(struck, material, 0.05)
    wanted = np.zeros(400)
    for k, partial in enumerate(PARTIALS, 1):
        hertz = partial * 1000
        if hertz > 7200:  # nearly half the rate of samples
            continue
        for n in range(3, 400):
            t = (n - 2) / 16000
            wanted[n] += 0.5 / k * math.exp(-math.pi * hertz * 0.02 * t) * math.sin(2 * math.pi * hertz * t)
    assert np.allclose(found, wanted, atol=1e-9)


def test_sound_fades_with_distance_and_each_material_has_its_own() -> None:
    simulation = Simulation(ball_on_ground(), 10.0)
    eye = simulation.scene.path.at(0.0, 1).pose[:3, 3]
    heard = {}
    for metres in (1.0, 2.0):
        blow = Impact(second=0.1, bodies=(0, 1), impulse=0.1, place=eye + np.array([metres, 0, 0]))
        heard[metres] = ring(simulation, [blow], MATERIALS["wood"], frames=10)
    assert heard[1.0].shape == (16000,)
    assert not heard[1.0][:1600].any()
    assert np.abs(heard[1.0]).max() / np.abs(heard[2.0]).max() == pytest.approx(2, rel=0.01)
    blow = Impact(second=0.0, bodies=(0, 1), impulse=0.1, place=eye + np.array([1.0, 0, 0]))
    sounds = {name: ring(simulation, [blow], one, frames=10) for name, one in MATERIALS.items()}
    late = {name: float((sound[4000:] ** 2).sum() / (sound**2).sum()) for name, sound in sounds.items()}
    assert max(late, key=lambda name: late[name]) == "metal"
    assert min(late, key=lambda name: late[name]) == "rubber"


def scene_of(source: Source, key: str) -> WorldVideo:
    video = source.read([entry.key for entry in source.entries].index(key))
    assert isinstance(video, WorldVideo)
    return video


def test_scenes_have_sound_and_the_material_as_label_and_look_the_same() -> None:
    source = open_source(SMALL, split="train", needs=HEARD)
    silent = open_source(SMALL.replace(",sound=impacts", ""), split="train", needs=frozenset({"video"}))
    assert source.classes == tuple(sorted(MATERIALS))
    assert "audio" not in silent.provides
    assert source.fingerprint != silent.fingerprint
    assert WorldSettings().drawn_by == [one for one in WorldSettings(sound="impacts").drawn_by if "sound" not in one]
    sampling = Sampling(inputs={"image": Image(), "audio": Sound(seconds=0.5)})
    samples = open_samples(source, side=24, sampling=sampling, cache_limit_gb=1.0, workers=1)
    seen = open_samples(silent, side=24, sampling=Sampling(inputs={"image": Image()}), cache_limit_gb=1.0, workers=1)
    draws = np.full((len(samples), 3), 0.5)
    batch = samples.read(np.arange(len(samples)), draws)
    rows = [seen.keys.index(key) for key in samples.keys]
    assert np.array_equal(batch.inputs["image"], seen.read(np.array(rows), draws).inputs["image"])
    video = scene_of(source, samples.keys[0])
    assert samples.labels is not None
    assert source.classes[samples.labels[0]] == video.material
    assert batch.time is not None
    first = round((float(batch.time[0]) - 0.25) * 16000)
    whole = np.frombuffer(video.sound_file[44:], "<i2") / 32768
    assert np.allclose(batch.inputs["audio"][0], whole[first : first + 8000], atol=1e-4)
    with pytest.raises(ValueError, match=r"sound=impacts needs a number of scenes, such as world:scenes=500"):
        open_source("world:sound=impacts", split="train", needs=HEARD)


def test_written_scenes_have_their_sound_and_material(tmp_path: Path) -> None:
    scenes = Scenes(WorldSettings(side=24, frames=8, most=6, sound="impacts"), "train", drawn_textures())
    assert "labels.csv" in write_world(scenes, tmp_path, count=2, workers=1)["folders"]
    source = open_source(str(tmp_path), split="train", needs=frozenset({"video", "audio"}), held_out=0.0)
    for i in range(2):
        video = source.read(i)
        assert isinstance(video, FrameVideo)
        assert video.track is not None
        assert Path(str(video.track())).read_bytes() == scenes.video(i).sound_file
    labelled = open_source(str(tmp_path), split="train", needs=HEARD, held_out=0.0)
    classes = labelled.classes or ()
    assert [classes[entry.label or 0] for entry in labelled.entries] == [scenes.video(i).material for i in range(2)]


def test_a_file_of_sound_is_what_was_rung() -> None:
    sound = np.array([0, 0.5, -1, 1], np.float32)
    assert np.frombuffer(wav_of(sound)[44:], "<i2").tolist() == [0, 16384, -32767, 32767]
