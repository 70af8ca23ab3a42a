"""A page as plain values: its tables, in the order of the page."""

from __future__ import annotations

from selftaught.report.blocks.document import Document, Section, tables_of
from selftaught.report.facts.answer import Answer
from selftaught.report.facts.cells import Table, words


def table(title: str, *rows: str) -> Table:
    return Table(title=title, head=["a"], rows=[[words(row)] for row in rows])


def test_tables_with_rows_come_with_the_titles_above_them() -> None:
    inner = Section(anchor="c", title="Inner", blocks=[table("third", "x")])
    document = Document(
        title="t",
        eyebrow="e",
        answer=Answer(headline="h"),
        sections=[
            Section(anchor="a", title="First", blocks=["<p>text</p>", table("one", "x"), [], table("none")]),
            Section(anchor="b", title="Second", blocks=[table("two", "x", "y")], children=[inner]),
        ],
    )
    assert [(titles, found.title) for titles, found in tables_of(document)] == [
        (("First",), "one"),
        (("Second",), "two"),
        (("Second", "Inner"), "third"),
    ]
