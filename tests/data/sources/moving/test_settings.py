"""Names of moving sequences."""

from __future__ import annotations

import pytest

from selftaught.data.sources.moving.settings import MovingSettings, read_settings


def test_a_name_says_what_moves_and_how() -> None:
    assert read_settings("moving:digits") == MovingSettings(data="digits", label="direction")
    assert read_settings("moving:digits,label=speed,videos=20,side=48,camera=drift") == MovingSettings(
        data="digits", label="speed", videos=20, side=48, camera="drift"
    )
    photographs = read_settings("moving:../some, folder/cifar10,ground=texture")
    assert (photographs.data, photographs.ground) == ("../some, folder/cifar10", "texture")
    assert read_settings("moving:cifar10").ground == "photo"


@pytest.mark.parametrize(("motion", "label"), [("straight", "direction"), ("bounce", "speed"), ("fall", "identity")])
def test_the_label_is_one_that_all_of_a_video_has(motion: str, label: str) -> None:
    assert read_settings(f"moving:digits,motion={motion}").label == label


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("moving:", "does not say what moves; give moving:digits"),
        ("moving:digits,ground=black,ground=photo", "ground is given twice; leave one of them"),
        ("moving:digits,colour=red", "unknown setting 'colour=red'; there are label, videos, side"),
        ("moving:digits,side=big", "side must be a whole number, got 'big'"),
        ("moving:digits,side=8", r"moving:digits,side=8: side must be in \[16, 512\], got 8"),
        ("moving:digits,label=colour", "label must be direction, speed or identity, got 'colour'"),
        ("moving:digits,motion=bounce,label=direction", "motion=bounce has no one direction; choose motion=straight"),
        ("moving:digits,motion=up", "motion must be straight, bounce or fall, got 'up'"),
        ("moving:digits,frames=60", "leave the image after 40 frames, got frames=60"),
        ("moving:digits,ground=photo", "ground=photo needs photographs"),
    ],
)
def test_a_wrong_name_is_one_sentence(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_settings(name)
