"""Images that single protocols drew."""

from __future__ import annotations

from pathlib import Path

from tests.report import made_evaluations as made
from tests.report.blocks.drawn_sections import drawn, only


def test_the_retrieval_gallery_shows_right_and_wrong(tmp_path: Path) -> None:
    html = drawn(only(tmp_path, made.add_retrieval), "retrieval")
    assert html.count("<img") == 2 * 3 * 5, "queries of the encoder and of random weights, four neighbours each"
    assert (html.count("✓ 0."), html.count("✗ 0.")) == (12, 12)
    assert "The same with random weights" in html
