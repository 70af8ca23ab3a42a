"""A page as plain values: the answer, then sections of tables, plots and images; one for every way to write it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from selftaught.report.blocks.figures import Figure
from selftaught.report.blocks.pictures import Album
from selftaught.report.facts.answer import Answer
from selftaught.report.facts.cells import Table

Drawn = Callable[[Album], str]
"""HTML with images, made when it is known how small they must be."""
Block = Table | Sequence[Figure] | str | Drawn
"""A table, plots beside each other, HTML, or HTML with images."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A titled part of a page; one without any content is not shown.

    Attributes:
        anchor: where it begins, for links.
        title: the heading.
        lead: one line after the title of a folded section.
        folded: shown when asked for, as a run among many is.
    """

    anchor: str
    title: str
    blocks: Sequence[Block] = ()
    children: Sequence[Section] = ()
    lead: str = ""
    folded: bool = False


@dataclass(frozen=True, kw_only=True)
class Document:
    """One page.

    Attributes:
        eyebrow: what the page is, above the answer.
        line: settings in one line, below it.
        warnings: what the runs warned of.
    """

    title: str
    eyebrow: str
    answer: Answer
    line: str = ""
    warnings: Sequence[str] = ()
    sections: Sequence[Section] = ()


def tables_of(document: Document) -> Iterator[tuple[tuple[str, ...], Table]]:
    """Every table with rows, with the titles of the sections it stands in, in the order of the page."""

    def within(section: Section, titles: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Table]]:
        path = (*titles, section.title)
        yield from ((path, block) for block in section.blocks if isinstance(block, Table) and block.rows)
        for child in section.children:
            yield from within(child, path)

    for section in document.sections:
        yield from within(section, ())
