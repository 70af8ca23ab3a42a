"""The page in a real headless Chromium, at the width of a desk and of a phone."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from selftaught.report import write_report

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage"
)
Browser = Any


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    for program in (CHROMIUM, DRIVER):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed; .ci/run installs it")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [*FLAGS.split(), f"--user-data-dir={tmp_path / 'chromium'}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def opened(browser: Browser, page: Path, *, width: int, scheme: str = "light") -> Browser:
    """Load the page at this width and wait until its script says that all is drawn."""
    phone = width < 600
    size = {"width": width, "height": 844 if phone else 900, "deviceScaleFactor": 1, "mobile": phone}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme_feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme_feature]})
    browser.get(page.as_uri())
    end = time.monotonic() + 60
    while browser.execute_script("return document.documentElement.dataset.drawn") != "all":
        assert time.monotonic() < end, browser.get_log("browser")
        time.sleep(0.05)
    return browser


def column(browser: Browser, index: int) -> list[str]:
    rows = "[...document.querySelector('table.sortable').tBodies[0].rows]"
    return list(browser.execute_script(f"return {rows}.map(r => r.cells[arguments[0]].textContent)", index))


@pytest.mark.parametrize("width", [1280, 390])
def test_a_run_page_shows_everything_without_an_error(
    browser: Browser, tmp_path: Path, run_folder: Callable[..., Path], width: int
) -> None:
    page = opened(browser, write_report(run_folder(tmp_path / "run")), width=width)
    assert page.get_log("browser") == []
    assert page.execute_script("return [...document.images].filter(i => !i.naturalWidth).length") == 0
    assert page.execute_script("return document.images.length") == 57
    traces = "p => p.querySelectorAll('.main-svg .scatterlayer .trace').length"
    plots = page.execute_script(f"return [...document.querySelectorAll('.plot')].map({traces})")
    assert plots == [3, 2, 3, 1, 1, 1, 1, 1]
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    wide = (
        "return [...document.querySelectorAll('.plot svg')].every(s => s.getBoundingClientRect().right <= innerWidth)"
    )
    assert page.execute_script(wide)


@pytest.mark.parametrize("width", [1280, 390])
def test_a_comparison_sorts_by_any_column(
    browser: Browser, tmp_path: Path, comparison_folder: Callable[..., Path], width: int
) -> None:
    folder = comparison_folder(tmp_path / "compared", {"rotation": 61.2, "simclr": 66.4, "jigsaw": 9.5})
    page = opened(browser, write_report(folder), width=width)
    assert column(page, 1) == ["simclr", "rotation", "jigsaw", "random weights", "supervised"]
    heads = page.find_elements("css selector", "#ranking th button")
    page.execute_script("arguments[0].click()", heads[1])
    assert column(page, 1) == ["jigsaw", "random weights", "rotation", "simclr", "supervised"]
    page.execute_script("arguments[0].click()", heads[2])
    assert column(page, 2) == ["74.8 %", "66.4 %", "61.2 %", "51.8 %", "9.5 %"], "by number, largest first"
    page.execute_script("arguments[0].click()", heads[2])
    assert column(page, 2) == ["9.5 %", "51.8 %", "61.2 %", "66.4 %", "74.8 %"]
    page.execute_script("arguments[0].click()", heads[4])
    assert column(page, 4)[-2:] == ["–", "–"], "what is not known stays last"
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    assert page.get_log("browser") == []


def test_dark_mode_follows_the_system_and_the_button(
    browser: Browser, tmp_path: Path, run_folder: Callable[..., Path]
) -> None:
    page = opened(browser, write_report(run_folder(tmp_path / "run")), width=1280, scheme="dark")

    def seen() -> list[str]:
        script = (
            "return [getComputedStyle(document.body).backgroundColor, "
            "document.querySelector('.plot .scatterlayer .js-line').style.stroke]"
        )
        return list(page.execute_script(script))

    dark = seen()
    page.execute_script("document.getElementById('theme').click()")
    light = seen()
    assert (dark[0], light[0]) == ("rgb(20, 23, 27)", "rgb(252, 251, 248)")
    assert dark[1] != light[1], "the plots change their colours with the page"


def test_on_paper_the_page_is_light_and_no_plot_is_cut(
    browser: Browser, tmp_path: Path, run_folder: Callable[..., Path]
) -> None:
    page = opened(browser, write_report(run_folder(tmp_path / "run")), width=1280, scheme="dark")
    page.execute_script("dispatchEvent(new Event('beforeprint'))")
    right = "return Math.max(...[...document.querySelectorAll('.plot svg')].map(s => s.getBoundingClientRect().right))"
    assert page.execute_script(right) <= 700, "the width that fits A4 and Letter"
    assert page.execute_script("return document.documentElement.dataset.theme") == "light"
    assert page.execute_script("return document.querySelectorAll('details:not([open])').length") == 0
    page.execute_script("dispatchEvent(new Event('afterprint'))")
    assert page.execute_script("return document.documentElement.dataset.theme") == "dark"
    assert page.execute_script("return document.querySelector('.plot svg').getBoundingClientRect().width") > 700
    assert page.get_log("browser") == []


def test_a_legend_entry_hides_its_line(browser: Browser, tmp_path: Path, run_folder: Callable[..., Path]) -> None:
    page = opened(browser, write_report(run_folder(tmp_path / "run")), width=1280)
    page.execute_script("document.querySelector('.legend button').click()")
    assert (
        page.execute_script("return document.querySelector('.plot').querySelectorAll('.scatterlayer .trace').length")
        == 2
    )


def test_hostile_names_run_nothing(browser: Browser, tmp_path: Path, run_folder: Callable[..., Path]) -> None:
    hostile = "<img src=x onerror=\"document.title='taken'\">"
    page = opened(browser, write_report(run_folder(tmp_path / "run", task=hostile)), width=1280)
    assert page.title.startswith("<img src=x onerror")
    assert page.execute_script("return document.querySelectorAll('img:not([src^=\"data:\"])').length") == 0
    assert hostile in page.find_element("css selector", "h1").text
    assert hostile in page.find_element("css selector", ".legend").text
