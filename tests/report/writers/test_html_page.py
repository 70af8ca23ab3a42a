from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from selftaught import report
from selftaught.report.blocks.pictures import SHRINKS, Album
from selftaught.report.page import document_of, write_report
from selftaught.report.writers import html_page
from tests.report import made_evaluations as made

Folder = Callable[..., Path]


def test_images_of_random_weights_weigh_once(tmp_path: Path, run_folder: Folder) -> None:
    for name in ("a", "b"):
        made.add_qualitative(run_folder(tmp_path / "runs" / name))
    html = write_report(tmp_path / "runs").read_text(encoding="utf-8")
    first = Album()
    found = first.sheet(tmp_path / "runs" / "a" / "evaluations" / "qualitative-0a1b2c3d" / "random" / "attention.png")
    again = first.sheet(tmp_path / "runs" / "b" / "evaluations" / "qualitative-0a1b2c3d" / "encoder" / "attention.png")
    assert found == again, "the same image"
    uri = first.style().split("url(")[1].split(")")[0]
    assert html.count(uri) == 1


def test_a_page_that_would_be_too_large_has_smaller_images_and_in_the_end_none(
    tmp_path: Path, run_folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = made.add_all(run_folder(tmp_path / "run"))
    document = document_of(run)
    sizes = [len(html_page._page(document, Album(shrink)).encode()) for shrink in SHRINKS]
    assert sizes == sorted(sizes, reverse=True)
    assert len(html_page.html_page(document).encode()) == sizes[0]
    monkeypatch.setattr(html_page, "MOST_BYTES", sizes[1])
    assert len(html_page.html_page(document).encode()) == sizes[1]
    monkeypatch.setattr(html_page, "MOST_BYTES", sizes[-1] - 1)
    bare = html_page.html_page(document)
    assert "<img" not in bare
    assert "<style>:root{}</style>" in bare
    assert "too many runs for the images" in bare
    assert "63.1 %" in bare


def test_what_has_no_content_is_no_section(tmp_path: Path, run_folder: Folder) -> None:
    html = write_report(run_folder(tmp_path / "run")).read_text(encoding="utf-8")
    assert 'href="#looks"' not in html
    assert 'id="labels"' not in html
    for anchor in ("worth", "sees", "repeat"):
        assert html.count(f'id="{anchor}"') == html.count(f'href="#{anchor}"') == 1


def test_captions_wrap_and_white_images_have_a_border() -> None:
    style = (Path(report.__file__ or "").parent / "style.css").read_text()
    assert "overflow-wrap: anywhere" in next(line for line in style.splitlines() if line.startswith(".row figcaption"))
    assert "img, .sheet, .tiles i { outline: 1px solid" in style
