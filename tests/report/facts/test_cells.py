"""Cells of a table, from figures."""

from __future__ import annotations

import pytest

from selftaught.report.facts.cells import EMPTY, Cell, figure, gap, measure, words
from selftaught.report.facts.evaluations import Estimate


def test_what_is_not_known_is_a_dash() -> None:
    assert words("") == words(None) == measure("top1", None) == gap("top1", None) == EMPTY
    assert figure(None) == figure(float("nan")) == figure("text") == Cell(text="–")
    assert words(0).text == "0"


def test_a_number_is_readable_and_sorts_by_its_value() -> None:
    assert figure(9469) == Cell(text="9,469", value=9469)
    assert figure(0.5, "50 %") == Cell(text="50 %", value=0.5)


def test_a_value_has_its_unit_and_interval() -> None:
    assert measure("top1", Estimate(63.14, (61.6, 64.6)), best=True, bar=True) == Cell(
        text="63.1 %", value=63.14, interval=(61.6, 64.6), within="61.6 to 64.6", tone="best", bar=63.14 / 100
    )
    assert measure("rankme", Estimate(140.0), bar=True) == Cell(text="140", value=140.0, bar=1.0)


@pytest.mark.parametrize(
    ("value", "interval", "tone"),
    [(2.0, (1.0, 3.0), "good"), (-2.0, (-3.0, -1.0), "bad"), (0.5, (-1.0, 2.0), "unsure"), (2.0, None, "")],
)
def test_a_difference_has_a_colour_only_where_it_is_no_luck(
    value: float, interval: tuple[float, float] | None, tone: str
) -> None:
    cell = gap("top1", Estimate(value, interval))
    assert (cell.tone, cell.value, cell.interval) == (tone, value, interval)
    assert cell.text == f"{value:+.1f}".replace("-", "−")
