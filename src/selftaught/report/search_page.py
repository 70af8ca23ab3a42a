"""The page of a search: the query, and thumbnails of what is most similar to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from selftaught.core.files import written_whole
from selftaught.report.blocks.document import Block, Document, Section
from selftaught.report.blocks.markup import note
from selftaught.report.facts.answer import Answer
from selftaught.report.facts.cells import Cell, Table
from selftaught.report.suggestions_page import cards
from selftaught.report.writers.html_page import html_page

QUERY = "query"
"""Key of the image of the query among the files."""


def write_search_page(
    path: Path, found: Sequence[Mapping[str, Any]], about: Mapping[str, Any], folder: Path, files: Mapping[str, str]
) -> None:
    """Write the page, which needs no other file.

    Args:
        path: the file to write.
        found: results as of `search`: rank, path, similarity, label.
        about: "query", "data", "run" and number of "samples".
        folder: where thumbnails are.
        files: path of a sample, or `QUERY`, -> name of its thumbnail in the folder.
    """
    query = PurePath(str(about["query"])).name
    nearest = f"; the most similar: {found[0]['path']}, {found[0]['similarity']:.3f}" if found else ""
    shown: list[Block] = [cards(folder, found, files)]
    hidden = sum(str(entry["path"]) not in files for entry in found)
    if hidden:
        shown.append(note(f"{hidden} of {len(found)} have no image to show."))
    document = Document(
        title=f"similar to {query}",
        eyebrow="Search",
        answer=Answer(headline=f"{len(found)} of {about['samples']:,} samples similar to {query}{nearest}."),
        line=" · ".join(str(about[name]) for name in ("data", "run")),
        sections=[
            Section(anchor="query", title="Query", blocks=[cards(folder, [{"path": QUERY}], files)]),
            Section(anchor="results", title="Results", blocks=shown),
            Section(anchor="table", title="Table", blocks=[_table(found)]),
        ],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as draft:
        draft.write_text(html_page(document), encoding="utf-8")


def _table(found: Sequence[Mapping[str, Any]]) -> Table:
    names = [name for name in ("rank", "path", "similarity", "label") if any(name in entry for entry in found)]
    rows = [[_cell(entry.get(name)) for name in names] for entry in found]
    text = [names.index(name) for name in ("path", "label") if name in names]
    return Table(title="Table", head=[name.capitalize() for name in names], rows=rows, text=text)


def _cell(value: object) -> Cell:
    if isinstance(value, float):
        return Cell(text=f"{value:.4f}", value=value)
    return Cell(text="" if value is None else str(value), value=value if isinstance(value, int) else None)
