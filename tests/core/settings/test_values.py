"""Times and ranges of values as text."""

from __future__ import annotations

import pytest

from selftaught.core.settings.values import ValueRange, parse_seconds, read_range


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
