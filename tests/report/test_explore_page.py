"""The page of the data: self-contained, safe with any name, and in a real browser."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from selftaught.report.explore_page import explore_page, write_explore_page
from selftaught.report.writers.place import is_report
from tests.report.conftest import HOSTILE
from tests.report.test_browser import Browser, opened, started, wait_for

SIDE = 6
"""Samples are a grid of so many rows and columns."""


@pytest.fixture
def facts() -> dict[str, Any]:
    """A grid of samples; the left half is of one class."""
    count = SIDE * SIDE
    sheet = io.BytesIO()
    Image.new("RGB", (48 * 32, 96), (90, 120, 200)).save(sheet, "JPEG")
    return {
        "data": f"photos {HOSTILE}", "run": "runs/a", "encoder": "resnet18", "samples": 5000, "skipped": 0,
        "method": "tsne", "kept": 61.5,
        "keys": [f"folder/{i:02}{HOSTILE if i == 3 else ''}.jpg" for i in range(count)],
        "x": [i % SIDE * 2000 for i in range(count)], "y": [i // SIDE * 2000 for i in range(count)],
        "classes": ["left", f"right {HOSTILE}"], "class": [int(i % SIDE >= SIDE // 2) for i in range(count)],
        "cluster": [i // SIDE % 2 for i in range(count)],
        "neighbours": [[(i + k) % count for k in range(1, 6)] for i in range(count)],
        "tile": 48, "columns": 32, "sheets": [sheet.getvalue()],
    }  # fmt: skip


def test_the_page_needs_nothing_else_and_is_known_as_ours(facts: dict[str, Any], tmp_path: Path) -> None:
    path = write_explore_page(facts, tmp_path / "new" / "page.html")
    text = path.read_text()
    assert HOSTILE not in text
    assert is_report(path)
    assert "36 of 5,000 samples, drawn at random by t-SNE" in " ".join(text.split())
    assert not re.findall(r"(?:src|href)=\"(?!data:)[^\"]+\"", text)
    assert '<option value="class">' in text
    assert '<option value="class">' not in explore_page(facts | {"classes": []})


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    yield from started(tmp_path_factory.mktemp("chromium"))


@pytest.mark.slow  # starts a browser
@pytest.mark.parametrize("width", [1300, 390])
def test_click_box_lasso_and_search(browser: Browser, facts: dict[str, Any], tmp_path: Path, width: int) -> None:
    page = write_explore_page(facts, tmp_path / "page.html")
    opened(browser, page, width=width, unfold=False)

    def run(script: str, *given: Any) -> Any:
        return browser.execute_script(script, *given)

    def drag(*points: tuple[float, float]) -> None:
        run(
            "const map = document.getElementById('map'), box = map.getBoundingClientRect();"
            "const send = (kind, [x, y]) => map.dispatchEvent(new PointerEvent(kind,"
            " {clientX: box.left + x, clientY: box.top + y, pointerId: 1, bubbles: true}));"
            "send('pointerdown', arguments[0][0]);"
            "arguments[0].forEach(at => send('pointermove', at)); send('pointerup', arguments[0].at(-1));",
            points,
        )

    def place(i: int) -> tuple[float, float]:
        x, y = run("return window.selftaught.place(arguments[0])", i)
        return x, y

    def text(name: str) -> str:
        return str(run("return document.getElementById(arguments[0]).textContent", name))

    def paths() -> list[str]:
        return str(run("return document.getElementById('list').value")).split("\n")

    x, y = place(8)
    drag((x + 2, y - 1))
    assert text("name") == "folder/08.jpg · left · cluster 2"
    captions = "return [...document.querySelectorAll('#neighbours figcaption')].map(c => c.textContent)"
    assert run(captions) == [f"{i:02}.jpg" for i in (8, 9, 10, 11, 12, 13)]
    run("document.querySelector('[data-mode=box]').click()")
    (left, top), (right, bottom) = place(SIDE * (SIDE - 1)), place(SIDE * (SIDE - 2) + 1)
    drag((left - 5, top - 5), (right, bottom), (right + 5, bottom + 5))
    assert paths() == [f"folder/{i:02}.jpg" for i in (24, 25, 30, 31)]
    assert text("count") == "4"
    run("document.querySelector('[data-mode=lasso]').click()")
    (ax, ay), (bx, by), (cx, cy) = place(0), place(12), place(2)
    drag((ax - 9, ay + 9), (bx - 9, by - 20), (cx + 20, cy + 9), (ax - 9, ay + 9))
    assert paths() == [f"folder/{i:02}.jpg" for i in (0, 1, 2, 6, 7, 12)]
    run("const f = document.getElementById('find'); f.value = '/3'; f.dispatchEvent(new Event('input'))")
    assert paths() == [f"folder/{i}.jpg" for i in range(30, 36)]
    run("document.querySelectorAll('#legend button')[1].click()")
    assert text("count") == "18"
    run("document.getElementById('clear').click(); document.getElementById('images').click()")
    wait_for(browser, "return document.getElementById('save').disabled")
    assert run("return document.documentElement.scrollWidth <= window.innerWidth")
    assert browser.get_log("browser") == []
