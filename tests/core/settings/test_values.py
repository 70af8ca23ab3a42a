"""Times and ranges of values as text."""

from __future__ import annotations

import pytest

from selftaught.core.settings.values import ValueRange, parse_seconds, read_range, read_ranges


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90.0), ("10m", 600.0), ("1.5h", 5400.0), ("600", 600.0), (".5m", 30.0)]
)
def test_a_time_is_read_in_seconds(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "0s", "-5m", "inf", "nanh", "soon", "5d"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^--budget must be a time such as 90s, 10m or 1.5h, got '"):
        parse_seconds(text)


def test_a_range_of_values_is_read_and_written() -> None:
    assert read_range("auto") is None
    assert read_range("0,4095") == ValueRange(0.0, 4095.0)
    assert str(ValueRange(-1.5, 4095.0)) == "-1.5,4095"
    for text in ("9,3", "3,3", "0,inf", "1", "1,2,3", "black,white"):
        with pytest.raises(
            ValueError, match=r"^--value-range must be auto or two numbers LOW,HIGH such as 0,4095, got"
        ):
            read_range(text)


def test_ranges_of_channels_are_one_for_all_or_one_each() -> None:
    assert read_ranges("auto", 5) == ()
    assert read_ranges("0,10", 3) == (ValueRange(0, 10),) * 3
    assert read_ranges("0,10;5,20", 2) == (ValueRange(0, 10), ValueRange(5, 20))
    with pytest.raises(ValueError, match="or 5 of them with ; between, one for each of --channels, got 2"):
        read_ranges("0,10;5,20", 5)
    with pytest.raises(ValueError, match="must be one LOW,HIGH for all channels, got 3"):
        read_ranges("0,1;0,1;0,1", 3)
