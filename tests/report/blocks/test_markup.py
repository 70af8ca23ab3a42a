"""Plain values as HTML."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest

from selftaught.report.blocks.figures import Figure, Line
from selftaught.report.blocks.markup import (
    absent,
    answer_html,
    details_html,
    esc,
    figures_html,
    image,
    note,
    shown_sheet,
    table_html,
    warnings_html,
)
from selftaught.report.blocks.pictures import Sheet
from selftaught.report.facts.answer import Answer, Fact
from selftaught.report.facts.cells import Cell, Table, figure, words

HOSTILE = "<b>\"x\" & 'y'</b>"


class Elements(HTMLParser):
    """Names of the elements and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.text = ""
        self.attributes: list[dict[str, str | None]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_every_text_stays_text() -> None:
    answer = Answer(headline=HOSTILE, more=HOSTILE, cautions=(HOSTILE,), facts=(Fact(label=HOSTILE, value=HOSTILE),))
    for html, count in (
        (esc(HOSTILE), 1),
        (absent(HOSTILE, HOSTILE), 2),
        (note(HOSTILE), 1),
        (answer_html(answer), 5),
        (warnings_html([HOSTILE]), 1),
        (details_html(HOSTILE, {HOSTILE: [HOSTILE]}), 3),
    ):
        found = Elements(html)
        assert found.text.count(HOSTILE) == count
        assert found.names.count("b") == html.count("<b>")  # only our own


def test_nothing_where_there_is_nothing() -> None:
    assert note("") == image(None, "x") == shown_sheet(None, "x") == figures_html([]) == warnings_html([]) == ""
    assert "<dl" not in answer_html(Answer(headline="h"))
    assert answer_html(Answer(headline="h"), heading="p") == '<p class="answer">h</p>'


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "–"), ({}, "–"), ({"a": None, "b": 2}, "a –, b 2"), ([1, 2], "1, 2"), (0.5, "0.5")]
)
def test_settings_are_written_as_people_read_them(value: Any, shown: str) -> None:
    assert f"<dd>{shown}</dd>" in details_html("t", {"name": value})


def test_a_table_sorts_by_values_and_marks_its_cells() -> None:
    cells = [words("a_b"), Cell(text="5", value=5.0, within="4 to 6", tone="good", href="#x", bar=0.5)]
    table = Table(title="T", head=["Rank", "V"], rows=[cells, [words("c"), figure(None)]], quiet=[1])
    html = table_html(table)
    assert '<table class="sortable ranked">' in html
    assert (
        '<td class="num good filled" data-sort="5.0" style="--bar:50.0%"><a href="#x">5</a><small>4 to 6</small>'
        in html
    )
    assert "<td>a_<wbr>b</td>" in html
    assert "<tr class=quiet><td>c</td>" in html
    assert html.count("<template>") == 3
    assert html.startswith('<div class="table"><h4>T</h4>')
    folded = Table(title="T", head=["a"], rows=[], folded=True)
    assert table_html(folded).startswith('<details class="table"><summary>T, table</summary>')
    assert "<template>" not in table_html(folded)


def test_two_or_four_plots_stand_in_pairs() -> None:
    plot = Figure(title="a_plot", lines=[Line(name="a", x=[1], y=[1.0])])
    for count, row in ((1, "figures"), (2, "figures pairs"), (3, "figures"), (4, "figures pairs")):
        assert figures_html([plot] * count).startswith(f'<div class="{row}">')
    small = Figure(title="a", lines=plot.lines, small=True)
    assert figures_html([small] * 3).startswith('<div class="figures many"><figure class="card small">')
    across = Figure(title="a", lines=[Line(name="a", x=["b"], y=[1.0])], across=True, order=["b", "c"])
    assert 'style="--rows:2"' in figures_html([across])


def test_small_images_are_crisp() -> None:
    assert 'class="crisp"' in image(("data:x", 64, 64), "w")
    assert 'class="strip"' in image(("data:x", 65, 10), "w")
    assert "class" not in image(("data:x", 65, 65), "w")
    assert 'class="crisp"' in image(("data:x", 100, 100), "w", exact=True)
    assert shown_sheet(Sheet(name="--p0", width=4, height=2), "w") == (
        '<i class="sheet" role="img" aria-label="w" style="background-image:var(--p0);aspect-ratio:4/2"></i>'
    )
