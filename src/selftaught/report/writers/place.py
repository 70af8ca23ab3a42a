"""Where a report is written: no file is replaced that selftaught did not write."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from selftaught.core.files import check_out, check_out_folder
from selftaught.core.own_folder import own_files

PAGE = "report.html"
WRITTEN = "Written by selftaught report."
"""Comment line that marks a Markdown or LaTeX report."""
GENERATOR = '<meta name="generator" content="selftaught">'
"""As `WRITTEN`, of a page."""
_REPORTS = (".html", ".md", ".tex")
"""Endings that no other file of a run folder has."""
_LOOKED_AT = 2048
"""Bytes at either end of a file in which its mark is."""


def check_file(path: Path, *, overwrite: bool) -> None:
    """Refuse a file that cannot be written, or that holds something else than an earlier report."""
    check_out(path, {}, overwrite=overwrite or is_report(path))


def check_page(folder: Path) -> None:
    """Refuse a folder whose report.html, where there is one, selftaught did not write."""
    page = folder / PAGE
    if page.exists() and not is_report(page):
        raise ValueError(f"--out {folder} holds a {PAGE} that selftaught did not write; move it, or give a new folder")


def check_tables(folder: Path) -> None:
    """Refuse a folder that cannot be made or written to."""
    if folder.is_file():
        raise ValueError(f"--out {folder} is a file; csv writes a file for each table, give a folder")
    check_out_folder(folder)


def check_replaced(folder: Path, names: Iterable[str], *, overwrite: bool) -> None:
    """Refuse to replace files of a folder that selftaught did not list as its own."""
    there = {name for name in names if os.path.lexists(folder / name)}
    if overwrite or not (others := sorted(there - _listed(folder))):
        return
    raise ValueError(
        f"--out {folder} holds files that selftaught did not write (such as {others[0]}); give another folder, or "
        "--overwrite to replace them"
    )


def is_report(path: Path) -> bool:
    """Whether a file is a report that selftaught wrote before: by its mark, or by the list of the folder it is in."""
    if not path.is_file():
        return False
    if path.suffix in _REPORTS and path.name in _listed(path.parent):
        return True
    with path.open("rb") as file:
        start = file.read(_LOOKED_AT)
        file.seek(max(0, path.stat().st_size - _LOOKED_AT))
        ends = start + file.read(_LOOKED_AT)
    return GENERATOR.encode() in start or WRITTEN.encode() in ends


def _listed(folder: Path) -> set[str]:
    """Names of the files of `folder` that its list, or that of the folder above, has as written by selftaught."""
    above = (name.removeprefix(f"{folder.name}/") for name in own_files(folder.parent))
    return {*own_files(folder), *above}
