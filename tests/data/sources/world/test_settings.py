"""The name of a world says what is rendered, and what it does not know is one sentence."""

from __future__ import annotations

import pytest

from selftaught.data.sources.world.settings import WorldSettings, is_world, read_settings


def test_settings_are_read_from_the_name() -> None:
    assert read_settings("world") == read_settings("world:") == WorldSettings()
    assert read_settings("world:scenes=endless").is_endless
    found = read_settings("world:scenes=20,side=64,place=indoor,textures=./my,photos,seed=3")
    assert (found.scenes, found.side, found.place, found.textures, found.seed) == (20, 64, "indoor", "./my,photos", 3)
    assert (is_world("world"), is_world("world:side=64"), is_world("worlds")) == (True, True, False)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (
            "world:scene=20",
            r"^world:scene=20: unknown setting 'scene=20'; there are scenes, side, .*, as in world:scenes=",
        ),
        ("world:camera=still,side=64,camera=moving", "^world:.*: camera is given twice; leave one of them$"),
        ("world:camera=Still", "^world:camera=Still: camera must be moving or still, got 'Still'$"),
        ("world:materials=", "^world:materials=: materials must be heard or seen, got ''$"),
        ("world:side=x", "^world:side=x: side must be a whole number, got 'x'$"),
        ("world:side=4", r"^world:side=4: side must be in \[16, 1024\], got 4$"),
        ("world:place=sea", "^world:place=sea: place must be .*both.*got 'sea'"),
        ("world:least=9,most=3", "^world:least=9,most=3: least must not be above most, got 9 and 3$"),
    ],
)
def test_what_is_not_allowed_is_one_sentence(data: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read_settings(data)


def test_the_number_of_scenes_does_not_change_them() -> None:
    assert read_settings("world:scenes=5").drawn_by == read_settings("world").drawn_by
    assert read_settings("world:seed=1").drawn_by != read_settings("world").drawn_by
