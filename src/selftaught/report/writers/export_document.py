"""All tables of a page as text: one Markdown file, one LaTeX file, or a CSV file for each."""

from __future__ import annotations

from selftaught.report.blocks.document import Document, tables_of
from selftaught.report.blocks.table_text import csv_text, latex, latex_text, markdown, plain_markdown, slug
from selftaught.report.facts.cells import Table
from selftaught.report.writers.place import WRITTEN


def markdown_text(document: Document) -> str:
    """The answer, then every table under the heading of its section."""
    lines = [f"# {plain_markdown(document.answer.headline)}", ""]
    lines += [f"{plain_markdown(text)}\n" for text in (document.answer.more, document.line) if text]
    lines += [f"- {plain_markdown(f'{f.label}: {f.value} ({f.note})' if f.note else f'{f.label}: {f.value}')}"
              for f in document.answer.facts]  # fmt: skip
    lines += ["", *(f"{plain_markdown(text)}\n" for text in (*document.answer.cautions, *document.warnings))]
    shown: tuple[str, ...] = ()
    for titles, table in tables_of(document):
        for depth, title in enumerate(titles):
            if titles[: depth + 1] != shown[: depth + 1]:
                lines += [f"{'#' * (depth + 2)} {plain_markdown(title)}", ""]
        shown = titles
        lines += [f"**{plain_markdown(table.title)}**", "", markdown(table)]
        lines += [f"{plain_markdown(table.note)}\n"] if table.note else []
    return "\n".join(lines).rstrip() + f"\n\n[//]: # ({WRITTEN})\n"


def latex_text_of(document: Document) -> str:
    """Every table as an environment, to be taken into a paper with \\input; labels are unique."""
    parts = [f"% {latex_text(document.answer.headline)}\n% \\usepackage{{booktabs}}\n% {WRITTEN}\n"]
    return "\n".join([*parts, *(latex(table, label=name) for name, table in _named(document).items())])


def csv_files(document: Document) -> dict[str, str]:
    """Text by file name."""
    return {f"{name}.csv": csv_text(table) for name, table in _named(document).items()}


def _named(document: Document) -> dict[str, Table]:
    """The tables by names of their own: their title, with the run's in front where there are several."""
    found: dict[str, Table] = {}
    for titles, table in tables_of(document):
        name = slug(table.title if len(titles) < 2 else f"{titles[0]} {table.title}")
        free = next(n for i in range(1, 10_000) if (n := name if i == 1 else f"{name}-{i}") not in found)
        found[free] = table
    return found
