"""A run with one evaluation, and the images of its section."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from selftaught.report.blocks.pictures import Album
from selftaught.report.blocks.protocol_sections import protocol_sections
from selftaught.report.facts.cells import Table
from selftaught.report.facts.read import read_run
from selftaught.report.writers.html_page import block_html


def only(tmp_path: Path, add: Callable[[Path], Path]) -> Any:
    (tmp_path / "config.json").write_text('{"task": "rotation"}')
    add(tmp_path)
    return read_run(tmp_path)


def drawn(run: Any, probe: str) -> str:
    """The images of the protocol's section as HTML."""
    sections = {anchor: blocks for anchor, _, blocks in protocol_sections(run)}
    pictures = [block for block in sections[f"protocol-{probe}"] if not isinstance(block, Table)]
    return "".join(block_html(block, Album()) for block in pictures)
