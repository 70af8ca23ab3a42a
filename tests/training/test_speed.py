"""How fast training was, without what is done between steps."""

from __future__ import annotations

import pytest

from selftaught.training.speed import Speed


def test_a_row_is_of_the_steps_since_the_last_one() -> None:
    speed = Speed(8)
    for seconds in (1.0, 0.5):
        speed.add(0.1, seconds)
    assert speed.row() == {"seconds": 1.5, "images_per_second": 2 * 8 / 1.5, "data_seconds": pytest.approx(0.2)}
    speed.add(0.0, 0.25)
    assert speed.row() == {"seconds": 0.25, "images_per_second": 32.0, "data_seconds": 0.0}


def test_the_first_three_steps_warm_up() -> None:
    speed = Speed(8)
    assert speed.overall() == 0.0
    for seconds in (9.0, 9.0):
        speed.add(0.0, seconds)
    assert speed.overall() == pytest.approx(8 / 9)
    for seconds in (9.0, 1.0, 3.0):
        speed.add(0.0, seconds)
    assert speed.overall() == pytest.approx(2 * 8 / 4)


def test_recent_is_the_median_of_the_last_twenty() -> None:
    speed = Speed(10)
    for seconds in [100.0] * 5 + [0.5] * 11 + [2.0] * 9:
        speed.add(0.0, seconds)
    assert speed.recent() == 20.0
