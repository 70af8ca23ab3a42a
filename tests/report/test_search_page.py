"""The page of a search: thumbnails and a table, from plain values, with nothing unescaped."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from selftaught.report.search_page import QUERY, write_search_page


def test_results_are_shown_with_their_thumbnails(tmp_path: Path) -> None:
    Image.new("RGB", (20, 20), (200, 30, 30)).save(tmp_path / "0.jpg")
    found = [
        {"rank": 1, "path": "<b>.png", "similarity": 0.98765, "label": "cat"},
        {"rank": 2, "path": "quiet.wav", "similarity": 0.5},
    ]
    about = {"query": Path("photos/q.jpg"), "data": "photos", "run": "runs/a", "samples": 1234}
    page = tmp_path / "pages" / "page.html"
    write_search_page(page, found, about, tmp_path, {"<b>.png": "0.jpg", QUERY: "0.jpg"})
    text = page.read_text()
    assert "2 of 1,234 samples similar to q.jpg; the most similar: &lt;b&gt;.png, 0.988." in text
    assert "<b>.png" not in text
    assert text.count("data:image/webp") >= 2
    assert "1 of 2 have no image to show." in text
    assert "0.9877" in text
    assert "cat" in text
    write_search_page(page, [], about, tmp_path, {})
    assert "0 of 1,234 samples similar to q.jpg." in page.read_text()
