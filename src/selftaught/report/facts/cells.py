"""A table as plain values, from which the page, Markdown, CSV and LaTeX are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from selftaught.report.facts.evaluations import Estimate
from selftaught.report.facts.read import finite
from selftaught.report.facts.wording import Interval, between, gained, measured, number


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell.

    Attributes:
        text: as it is read.
        value: what it sorts by, and what a file of numbers holds.
        interval: the 95 % interval of `value`, in its unit; `within` is the same as text.
        href: where it leads on the page.
        tone: "best" of its row or column, "good" or "bad", or "unsure" if it hardly differs from its reference.
        bar: length of the bar behind it, a share in [0, 1].
    """

    text: str
    value: float | None = None
    interval: Interval | None = None
    within: str = ""
    href: str = ""
    tone: Literal["", "best", "good", "bad", "unsure"] = ""
    bar: float | None = None


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table with its title and one line on how to read it.

    Attributes:
        head: name of every column.
        rows: as many cells each.
        text: columns of words, which are left aligned.
        quiet: rows that are references.
        folded: shown on the page only when asked for.
    """

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    text: Sequence[int] = (0,)
    quiet: Sequence[int] = ()
    note: str = ""
    folded: bool = False


EMPTY = Cell(text="–")
"""What is not known."""


def words(text: object) -> Cell:
    """A cell of words; a dash where there are none."""
    return Cell(text=str(text)) if text not in (None, "") else EMPTY


def figure(value: object, show: str = "") -> Cell:
    """A number; `show` replaces its plain writing."""
    known = finite(value)
    return Cell(text=show or number(known), value=known)


def measure(metric: object, found: Estimate | None, *, best: bool = False, bar: bool = False) -> Cell:
    """A value of a probe's metric with its interval."""
    if found is None:
        return EMPTY
    return Cell(
        text=measured(metric, found.value),
        value=found.value,
        interval=found.interval,
        within=between(found.interval, metric),
        tone="best" if best else "",
        bar=min(max(found.value / 100, 0.0), 1.0) if bar else None,
    )


def gap(metric: object, found: Estimate | None) -> Cell:
    """A difference of two values with its interval; green or red only where it is more than luck of the draw."""
    if found is None:
        return EMPTY
    tone: Literal["", "good", "bad", "unsure"] = ""
    if found.is_distinct is not None:
        tone = "unsure" if not found.is_distinct else "good" if found.value > 0 else "bad"
    return Cell(
        text=gained(metric, found.value),
        value=found.value,
        interval=found.interval,
        within=between(found.interval, metric),
        tone=tone,
    )
