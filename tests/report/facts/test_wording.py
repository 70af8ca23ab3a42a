"""How metrics are written."""

from __future__ import annotations

import pytest

from selftaught.report.facts.wording import (
    between,
    gained,
    interval_in,
    listed,
    measured,
    metric_of,
    number,
    percent,
    points,
    precise,
    pretext,
    sentence,
    spoken,
)


def test_metrics_are_written_in_their_unit() -> None:
    assert measured("miou", 35.04) == "35.0 %"
    assert measured("rankme", 35.04) == "35.0"
    assert gained("top1", -0.46) == "−0.5"
    assert gained("rankme", 24.04) == "+24.0"
    assert between((-1.04, 2.0)) == "−1.0 to 2.0"
    assert between(None) == ""
    assert [sentence(w) for w in ("linear probe", "mAP by stage", "k-NN probe", "α-ReQ")] == [
        "Linear probe", "mAP by stage", "k-NN probe", "α-ReQ",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (9469.0, "9,469"),
        (-3.0, "−3"),
        (0.12345, "0.123"),
        (1234.5, "1,234"),
        (-0.5, "−0.5"),
        (1e20, "1e+20"),
    ],
)
def test_a_metric_of_unknown_size(value: float | None, shown: str) -> None:
    assert number(value).replace("100,000,000,000,000,000,000", "1e+20") == shown


def test_signs_digits_and_dashes() -> None:
    assert [points(value) for value in (None, 1.25, -0.04, -3.0)] == ["–", "+1.2", "+0.0", "−3.0"]
    assert [percent(value) for value in (None, 50.0)] == ["–", "50.0 %"]
    assert [precise(value) for value in (None, 2.0, 0.6, 140.0, -1.5)] == ["–", "2.00", "0.600", "140", "−1.50"]
    assert [listed(names) for names in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]


def test_metrics_that_are_not_known_are_shares_of_that_name() -> None:
    assert (metric_of("my_share").words, metric_of("my_share").percent) == ("my share", True)
    assert not metric_of("lidar").percent
    assert spoken("psnr_gain") == "PSNR gain"


def test_a_tasks_metric_has_its_unit() -> None:
    assert pretext("accuracy", 0.625) == "62.5 %"
    assert pretext("accuracy", 3.0) == "3"
    assert pretext("psnr_gain", 1.234) == "1.23 dB"
    assert pretext("error", None) == "–"


@pytest.mark.parametrize("value", [None, [1.0], [1.0, None], [1.0, float("nan")], "12", {"a": 1}, [1, 2, 3]])
def test_what_is_no_interval_is_none(value: object) -> None:
    assert interval_in(value) is None
    assert interval_in([1, 2.5]) == (1.0, 2.5)
