"""One self-contained HTML page from a run, a comparison or a folder of runs, or its tables as text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from selftaught.core.files import written_whole
from selftaught.core.own_folder import is_own, mark, record
from selftaught.report.blocks.document import Document
from selftaught.report.collection_page import collection_document
from selftaught.report.comparison_page import comparison_document
from selftaught.report.facts.read import Collection, Comparison, read_folder
from selftaught.report.run_page import run_document
from selftaught.report.writers.export_document import csv_files, latex_text_of, markdown_text
from selftaught.report.writers.html_page import html_page
from selftaught.report.writers.place import PAGE, check_file, check_replaced, check_tables

Format = Literal["html", "markdown", "csv", "latex"]
_NAMES = {"html": PAGE, "markdown": "report.md", "csv": "report-csv", "latex": "report.tex"}
_WRITERS: dict[str, Callable[[Document], str]] = {
    "html": html_page,
    "markdown": markdown_text,
    "latex": latex_text_of,
}


def write_report(folder: Path, out: Path | None = None, *, format: Format = "html", overwrite: bool = False) -> Path:
    """Write the page of a run folder, a comparison folder or a folder of run folders; return its path.

    Args:
        folder: any of the three.
        out: the file to write, or an existing folder to put report.html (report.md, report.tex) in; of csv, which is a
            file for each table, the folder they are written to. Default: beside what is reported, in `folder`.
        format: the page, or its tables alone.
        overwrite: replace files that are no earlier report.
    """
    if format not in _NAMES:
        raise ValueError(f"--format must be one of {', '.join(_NAMES)}, got {format!r}")
    folder = Path(folder)
    target = place_of(folder, out, format)
    if format == "csv":
        check_tables(target)
        files = csv_files(document_of(folder))
        if not files:
            raise ValueError(f"{folder} has no table to write yet; measure the run with 'selftaught evaluate' first")
        check_replaced(target, files, overwrite=overwrite)
        if out is not None or not is_own(folder):
            mark(target, "report")
        for name, text in files.items():
            _write(target / name, text)
        return target
    check_file(target, overwrite=overwrite)
    text = _WRITERS[format](document_of(folder))
    _write(target, text, is_listed=out is None)
    return target


def place_of(folder: Path, out: Path | None = None, format: Format = "html") -> Path:
    """The file, or for csv the folder, that a report of `folder` is written to."""
    target = folder / _NAMES[format] if out is None else Path(out)
    return target / _NAMES[format] if format != "csv" and target.is_dir() else target


def document_of(folder: Path) -> Document:
    """What there is to say of the folder."""
    found = read_folder(folder)
    if isinstance(found, Comparison):
        return comparison_document(found)
    return collection_document(found) if isinstance(found, Collection) else run_document(found)


def _write(target: Path, text: str, *, is_listed: bool = True) -> None:
    """Where selftaught chose the place or made the folder, its list has the file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(record(target) if is_listed else target) as draft:
        draft.write_text(text, encoding="utf-8")
