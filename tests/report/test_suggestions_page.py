"""The page of suggestions: from its folder alone, without what is missing, and with nothing unescaped."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from selftaught.report.suggestions_page import write_suggestions_page


def test_lists_are_shown_with_their_thumbnails(tmp_path: Path) -> None:
    Image.new("RGB", (20, 20), (200, 30, 30)).save(tmp_path / "a.png")
    entry = {"path": "<b>.png", "label": None, "rank": 1, "margin": 0.12345}
    facts = {
        "data": "photos", "samples": 9, "counts": {"next": 70, "outliers": 1},
        "lists": {"next": [entry], "outliers": [{"path": "gone.png", "distance": 2.0}]},
        "files": {"<b>.png": "a.png", "gone.png": "../outside.png"},
    }  # fmt: skip
    (tmp_path / "suggestions.json").write_text(json.dumps(facts))
    page = write_suggestions_page(tmp_path).read_text()
    assert "70 samples to label next, of 9; 0 likely label errors, 0 near duplicates, 1 outliers." in page
    assert "The first 1 of 70; the table has all." in page
    assert "margin 0.123" in page
    assert "&lt;b&gt;.png" in page
    assert "<b>.png" not in page
    assert "gone.png" not in page
