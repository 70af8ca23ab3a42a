"""A material has a look of its own, the same shapes and motion as before, and nothing changes where it is not seen."""

from __future__ import annotations

from colorsys import rgb_to_hsv
from pathlib import Path

import numpy as np
import pytest

from selftaught.data.rendered.write import write_world
from selftaught.data.sources.open import open_source
from selftaught.data.sources.world.impacts import MATERIALS
from selftaught.data.sources.world.looks import LOOKS, PATTERNS, dressed
from selftaught.data.sources.world.motion import Simulation
from selftaught.data.sources.world.render import Frame
from selftaught.data.sources.world.scene import draw_scene
from selftaught.data.sources.world.settings import WorldSettings
from selftaught.data.sources.world.textures import DRAWN, drawn_textures
from selftaught.data.sources.world.video import Scenes

pytest.importorskip("mujoco", reason="needs MuJoCo, the extra [world]")


def scenes(materials: str, **more: str) -> Scenes:
    settings = WorldSettings(side=24, frames=4, most=8, materials=materials, **more)  # type: ignore[arg-type]
    return Scenes(settings, "train", drawn_textures(PATTERNS if materials == "seen" else ()))


@pytest.mark.parametrize("material", sorted(LOOKS))
def test_objects_look_like_their_material_and_the_background_stays(material: str) -> None:
    assert sorted(LOOKS) == sorted(MATERIALS)
    scene = draw_scene(np.random.default_rng(3), place="indoor", bodies=(12, 12), textures=9, seconds=1.0)
    textures, look = 9 + len(PATTERNS), LOOKS[material]
    found = dressed(scene.surfaces, scene.instance, material, np.random.default_rng(0), textures=textures)
    objects = scene.instance > 0
    assert set(found.texture[objects].tolist()) == {9 + sorted(LOOKS).index(material)}
    assert PATTERNS[found.texture[objects][0] - 9] == look.pattern
    for gain, metres, gloss in zip(found.gain[objects], found.metres[objects], found.gloss[objects], strict=True):
        hue, saturation, brightness = rgb_to_hsv(*map(float, gain))
        for value, (low, high) in ((saturation, look.saturation), (brightness, look.brightness), (metres, look.metres)):
            assert low - 1e-3 <= value <= high + 1e-3
        assert saturation < 0.01 or look.hue[0] - 0.01 <= hue <= look.hue[1] + 0.01
        assert gloss == np.float32(look.gloss)
    for number in range(1, scene.instance.max() + 1):
        assert len(np.unique(found.gain[scene.instance == number], axis=0)) == 1
    assert np.array_equal(found.gain[~objects], scene.surfaces.gain[~objects])
    assert np.array_equal(found.texture[~objects], scene.surfaces.texture[~objects])


def test_scenes_are_the_same_but_for_the_look_of_their_objects() -> None:
    plain, seen = scenes("heard").video(2), scenes("seen").video(2)
    assert plain.material == seen.material
    one, other = (video.given(["instances", "depth", "flow"], 2) for video in (plain, seen))
    assert all(np.array_equal(one[kind], other[kind]) for kind in one)
    before, after = (video.frame(video.simulation(), 2).image().astype(int) for video in (plain, seen))
    objects = one["instances"] > 0
    assert np.abs(before - after)[objects].mean() > 5
    assert np.array_equal(after, seen.frame(seen.simulation(), 2).image())


def test_nothing_changes_where_no_material_is_seen() -> None:
    video = scenes("heard").video(1)
    found = video.frame(video.simulation(), 2).image()
    rng = np.random.default_rng([0, *b"train", 1])
    scene = draw_scene(rng, place=None, bodies=(5, 8), textures=DRAWN, seconds=4 / 15)
    assert np.array_equal(found, Frame(Simulation(scene, 15.0), 2, side=24, textures=drawn_textures()).image())
    assert WorldSettings(frames=8).drawn_by == [
        *("side=128", "frames=8", "fps=15", "place=both", "least=5", "most=40", "seed=0")
    ]


def test_a_still_camera_sees_the_same_scene_from_one_place() -> None:
    moving, still = scenes("heard").video(1), scenes("heard", camera="still").video(1)
    poses = [[video.given(["pose"], number)["pose"] for number in (0, 3)] for video in (moving, still)]
    assert np.array_equal(poses[1][0], poses[1][1])
    assert np.array_equal(poses[0][0], poses[1][0])
    assert not np.array_equal(poses[0][0], poses[0][1])
    known = still.given(["flow", "moving"], 0)
    assert np.abs(known["flow"][known["moving"] == 0]).max() < 0.1
    one, other = (video.frame(video.simulation(), 0).image() for video in (moving, still))
    assert np.array_equal(one, other)


def test_a_material_that_is_seen_is_the_label_without_sound_too(tmp_path: Path) -> None:
    needs = frozenset({"video", "label"})
    source = open_source("world:scenes=6,side=24,frames=2,most=6,materials=seen", split="train", needs=needs)
    heard = open_source(
        "world:scenes=6,side=24,frames=2,most=6,materials=seen,sound=impacts", split="train", needs=needs
    )
    assert source.classes == tuple(sorted(LOOKS))
    assert [entry.label for entry in source.entries] == [entry.label for entry in heard.entries]
    assert source.fingerprint != heard.fingerprint
    assert "label" not in open_source("world:materials=seen", split="train", needs=frozenset({"video"})).provides
    assert "labels.csv" in write_world(scenes("seen"), tmp_path, count=1, workers=1)["folders"]
    assert scenes("seen").video(0).material in (tmp_path / "labels.csv").read_text()
