"""The page in a real headless Chromium, at the width of a desk and of a phone."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from selftaught.report import write_report
from tests.report import made_evaluations as made

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage"
)
Browser = Any


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    yield from started(tmp_path_factory.mktemp("chromium"))


@pytest.fixture
def new_browser(tmp_path: Path) -> Iterator[Browser]:
    """One that has never read a page."""
    yield from started(tmp_path / "chromium")


def started(profile: Path) -> Iterator[Browser]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    for program in (CHROMIUM, DRIVER):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed; .ci/run installs it")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [*FLAGS.split(), f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def opened(browser: Browser, page: Path, *, width: int, scheme: str = "light", unfold: bool = True) -> Browser:
    """Load the page at this width and wait until its script says that all in view is drawn; by default, all."""
    phone = width < 600
    size = {"width": width, "height": 844 if phone else 900, "deviceScaleFactor": 1, "mobile": phone}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme_feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme_feature]})
    browser.get_log("browser")
    browser.get(page.as_uri())
    if browser.execute_script("const kept = localStorage.length; localStorage.clear(); return kept"):
        browser.refresh()  # without the theme that an earlier test chose
    wait_for(browser, "return ['seen', 'all'].includes(document.documentElement.dataset.drawn)")
    if unfold:
        # A window as tall as the page has every plot in view, once what is folded is open.
        browser.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        tall = browser.execute_script("return document.documentElement.scrollHeight")
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**size, "height": tall + 100})
        wait_for(browser, "return document.documentElement.dataset.drawn === 'all'")
    return browser


def wait_for(browser: Browser, condition: str) -> None:
    end = time.monotonic() + 120
    while not browser.execute_script(condition):
        assert time.monotonic() < end, browser.get_log("browser")
        time.sleep(0.05)


def column(browser: Browser, index: int) -> list[str]:
    rows = "[...document.querySelector('table.sortable').tBodies[0].rows]"
    return list(browser.execute_script(f"return {rows}.map(r => r.cells[arguments[0]].textContent)", index))


@pytest.mark.parametrize("width", [1280, 390])
def test_a_run_page_shows_everything_without_an_error(
    browser: Browser, tmp_path: Path, run_folder: Callable[..., Path], width: int
) -> None:
    page = opened(browser, write_report(made.add_all(run_folder(tmp_path / "run"))), width=width)
    assert page.get_log("browser") == []
    assert page.execute_script("return [...document.images].filter(i => !i.naturalWidth).length") == 0
    own, protocols = 8 + 8 * 6, 2 * (3 * 5 + 3 + 3)
    assert page.execute_script("return document.images.length") == own + protocols
    sheets = "return [...document.querySelectorAll('.sheet, .tiles i')].filter(i => i.offsetHeight > 9)"
    assert page.execute_script(f"{sheets}.length") == 2 * (1 + 1) + 2 * 2 * 2 * 2, (
        "kernels, attention, filters, patches"
    )
    pictures = f"{sheets}.every(i => getComputedStyle(i).backgroundImage.startsWith('url(\"data:image/'))"
    assert page.execute_script(pictures)
    traces = "p => p.querySelectorAll('.main-svg .scatterlayer .trace').length"
    plots = page.execute_script(f"return [...document.querySelectorAll('.plot')].map({traces})")
    assert plots == [3, 2, 3, 3, 2, 3, 1, 1, 1, 1, 1], "stages, labels, two maps, then curves"
    set_up = page.execute_script("return Object.keys(Plotly.PlotSchema.get().traces)")
    assert set_up == ["scatter"], "lines and points alone"
    assert (
        page.execute_script("return document.querySelectorAll('.plot')[0].querySelectorAll('.errorbar').length") == 15
    )
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
    page = opened(browser, write_report(folder), width=width, unfold=False)
    assert column(page, 1) == ["simclr", "rotation", "jigsaw", "random weights", "supervised"]
    heads = page.find_elements("css selector", "#ranking th button")
    page.execute_script("arguments[0].click()", heads[1])
    assert column(page, 1) == ["jigsaw", "random weights", "rotation", "simclr", "supervised"]
    page.execute_script("arguments[0].click()", heads[2])
    values = [text.split(" %")[0] for text in column(page, 2)]
    assert values == ["74.8", "66.4", "61.2", "51.8", "9.5"], "by number, largest first"
    page.execute_script("arguments[0].click()", heads[2])
    assert [text.split(" %")[0] for text in column(page, 2)] == values[::-1]
    page.execute_script("arguments[0].click()", heads[4])
    assert column(page, 4)[-2:] == ["–", "–"], "what is not known stays last"
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    assert page.get_log("browser") == []


def test_dark_mode_follows_the_system_and_the_button(
    browser: Browser, tmp_path: Path, run_folder: Callable[..., Path]
) -> None:
    page = opened(browser, write_report(run_folder(tmp_path / "run")), width=1280, scheme="dark", unfold=False)

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
    page = opened(browser, write_report(run_folder(tmp_path / "run")), width=1280, scheme="dark", unfold=False)
    page.execute_script("dispatchEvent(new Event('beforeprint'))")
    right = "return Math.max(...[...document.querySelectorAll('.plot svg')].map(s => s.getBoundingClientRect().right))"
    assert page.execute_script(right) <= 700, "the width that fits A4 and Letter"
    assert page.execute_script("return document.documentElement.dataset.theme") == "light"
    assert page.execute_script("return document.querySelectorAll('details:not([open])').length") == 0
    page.execute_script("dispatchEvent(new Event('afterprint'))")
    assert page.execute_script("return document.documentElement.dataset.theme") == "dark"
    assert page.execute_script("return document.querySelector('.plot svg').getBoundingClientRect().width") > 700
    assert page.get_log("browser") == []


def test_a_legend_entry_hides_its_line_and_a_table_is_copied_in_each_form(
    browser: Browser, tmp_path: Path, run_folder: Callable[..., Path]
) -> None:
    page = opened(browser, write_report(run_folder(tmp_path / "run")), width=1280, unfold=False)
    lines = "return document.querySelector('.plot').querySelectorAll('.scatterlayer .trace').length"
    assert page.execute_script(lines) == 3
    page.execute_script("document.querySelector('.legend button').click()")
    assert page.execute_script(lines) == 2
    kept = """
        Object.defineProperty(navigator, "clipboard", {value: {writeText: async (text) => { window.copied = text; }}});
        return [...document.querySelector('.copy').querySelectorAll('button')].map(b => b.textContent)"""
    assert page.execute_script(kept) == ["Markdown", "CSV", "LaTeX"]
    for place, begin in enumerate(("| Protocol ", "Protocol,Metric,Value,Value low,Value high", r"\begin{table}")):
        page.execute_script("document.querySelectorAll('.copy button')[arguments[0]].click()", place)
        wait_for(page, "return Boolean(window.copied)")
        assert page.execute_script("const text = window.copied; window.copied = ''; return text").startswith(begin)


def test_a_point_of_the_map_shows_its_image(browser: Browser, tmp_path: Path, run_folder: Callable[..., Path]) -> None:
    folder = run_folder(tmp_path / "run")
    made.add_qualitative(folder)
    page = opened(browser, write_report(folder), width=1280)
    x, y = page.execute_script("""
        const trace = document.querySelector('.map .plot').querySelectorAll('.scatterlayer .trace')[1];
        const path = trace.querySelectorAll('path.point')[2];
        const place = path.getBoundingClientRect();
        return [place.x + place.width / 2, place.y + place.height / 2]""")
    for step in (3, 0):
        page.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": x + step, "y": y})
    wait_for(page, "return !document.getElementById('thumb').hidden")
    seen = """
        const [thumb, image] = [document.getElementById('thumb'), document.querySelector('#thumb i')];
        const style = getComputedStyle(image);
        return [thumb.hidden, thumb.textContent, style.backgroundPosition, style.backgroundImage.slice(0, 27)]"""
    tile = 6  # third of the dogs, which are every third image; ten tiles of 32 pixels and a gap of 2 in a row
    place = f"-{tile * 34 * 96 / 32:g}px 0px"
    assert page.execute_script(seen) == [False, "dog · 6.png", place, 'url("data:image/webp;base64']
    assert page.get_log("browser") == []


def test_a_clip_moves_only_while_it_is_in_view(
    browser: Browser, tmp_path: Path, run_folder: Callable[..., Path]
) -> None:
    folder = run_folder(tmp_path / "run")
    frames = [Image.new("RGB", (32, 32), (20 * i, 0, 0)) for i in range(6)]
    frames[0].save(folder / "pictures" / "clip.webp", "WEBP", save_all=True, append_images=frames[1:], duration=125)
    listed = json.loads((folder / "pictures" / "pictures.json").read_text())
    listed["samples"][0]["inputs"] = ["clip.webp"]
    (folder / "pictures" / "pictures.json").write_text(json.dumps(listed))
    page = opened(browser, write_report(folder), width=1280, unfold=False)
    clip = "const clip = document.querySelector('img[data-clip]');"
    moves = f"{clip} return clip.src === clip.dataset.clip"
    page.execute_script(f"{clip} clip.scrollIntoView()")
    wait_for(page, moves)
    page.execute_script("document.body.style.marginTop = '9000px'; scrollTo(0, 0)")
    wait_for(page, moves.replace("===", "!=="))
    page.execute_script("document.body.style.marginTop = '0'")
    page.execute_script(f"{clip} clip.scrollIntoView()")
    wait_for(page, moves)
    page.execute_script(f"{clip} clip.click()")
    assert page.execute_script(moves) is False, "a click stops it"
    page.execute_script(f"{clip} clip.dispatchEvent(new KeyboardEvent('keydown', {{key: 'Enter'}}))")
    assert page.execute_script(moves) is True, "and the enter key starts it again"
    page.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert page.execute_script(moves) is False
    assert page.get_log("browser") == []


def test_where_less_motion_is_asked_for_clips_move_only_under_the_pointer(
    browser: Browser, tmp_path: Path, run_folder: Callable[..., Path]
) -> None:
    folder = run_folder(tmp_path / "run")
    frames = [Image.new("RGB", (32, 32), (20 * i, 0, 0)) for i in range(6)]
    frames[0].save(folder / "pictures" / "clip.webp", "WEBP", save_all=True, append_images=frames[1:], duration=125)
    listed = json.loads((folder / "pictures" / "pictures.json").read_text())
    listed["samples"][0] = {"inputs": ["clip.webp"], "pseudo_label": "clip.webp", "prediction": "s0.png"}
    (folder / "pictures" / "pictures.json").write_text(json.dumps(listed))
    calm = {"name": "prefers-reduced-motion", "value": "reduce"}
    page = opened(browser, write_report(folder), width=1280, unfold=False)
    clips = "const clips = [...document.querySelectorAll('img[data-clip]')];"
    moving = f"{clips} return clips.map(c => c.src === c.dataset.clip)"
    page.execute_script(f"{clips} clips[0].scrollIntoView()")
    wait_for(page, moving.replace("clips.map", "clips.every"))
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [calm]})
    page.refresh()
    page.execute_script(f"{clips} clips[0].scrollIntoView()")
    time.sleep(0.3)
    assert page.execute_script(moving) == [False, False]
    for event, expected in (("enter", [False, True]), ("leave", [False, False])):
        pointer = f"clips[1].dispatchEvent(new PointerEvent('pointer{event}', {{pointerType: 'mouse'}}));"
        page.execute_script(f"{clips} {pointer}")
        assert page.execute_script(moving) == expected
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert page.get_log("browser") == []


def test_a_link_opens_the_run_it_leads_to_and_its_plots_get_their_size(
    browser: Browser, tmp_path: Path, run_folder: Callable[..., Path]
) -> None:
    for name in ("a", "b"):
        run_folder(tmp_path / "runs" / name)
    page = opened(browser, write_report(tmp_path / "runs"), width=1280, unfold=False)
    assert page.execute_script("return document.querySelectorAll('details.run[open]').length") == 0
    drawn = "return [...document.querySelectorAll('#run-b .plot')].filter(p => p.querySelector('svg')).length"
    assert page.execute_script(drawn) == 0, "what is folded is not drawn"
    page.execute_script("document.querySelector('a[href=\"#run-b\"]').click()")
    wait_for(page, drawn.replace("return", "return 0 <"))
    wait_for(page, "return document.documentElement.dataset.drawn === 'seen'")
    assert page.execute_script("return document.querySelectorAll('details.run[open]').length") == 1
    page.execute_script("document.querySelector('#run-b details.run').open = false")
    page.execute_script("document.getElementById('theme').click()")
    page.execute_script("document.querySelector('#run-b details.run').open = true")
    width = "return document.querySelector('#run-b .plot svg').getBoundingClientRect().width"
    wait_for(page, width.replace("return", "return 900 <"))
    assert page.get_log("browser") == []


def test_on_paper_no_plot_is_left_out(browser: Browser, tmp_path: Path, run_folder: Callable[..., Path]) -> None:
    for name in ("a", "b"):
        run_folder(tmp_path / "runs" / name)
    page = opened(browser, write_report(tmp_path / "runs"), width=1280, unfold=False)
    page.execute_script("dispatchEvent(new Event('beforeprint'))")
    plots = "[...document.querySelectorAll('.plot')]"
    traces = f"return {plots}.map(p => p.querySelectorAll('.scatterlayer .trace').length)"
    assert page.execute_script(traces) == [4] + 2 * [3, 2, 3, 1, 1, 1, 1, 1], "drawn at once, none in view or not"
    page.execute_script("dispatchEvent(new Event('afterprint'))")


@pytest.mark.parametrize("width", [1280, 390])
def test_of_many_tasks_the_rest_is_drawn_when_asked_for(
    browser: Browser, tmp_path: Path, comparison_folder: Callable[..., Path], width: int
) -> None:
    folder = comparison_folder(tmp_path / "compared", {f"a_task_with_a_long_name_{i}": 60.0 - i for i in range(12)})
    page = opened(browser, write_report(folder), width=width, unfold=False)
    stages = "document.querySelector('#stages .plot')"
    page.execute_script(f"{stages}.scrollIntoView()")
    wait_for(page, f"return {stages}.querySelectorAll('.scatterlayer .trace').length === 8 + 2")
    legend = f"[...{stages}.previousElementSibling.querySelectorAll('button')].filter(b => b.offsetHeight)"
    assert page.execute_script(f"return {legend}.map(b => b.textContent)")[-2:] == ["supervised", "4 more"]
    page.execute_script(f"{legend}.at(-1).click()")
    assert page.execute_script(f"return {legend}.length") == 12 + 2
    page.execute_script(f"{legend}.find(b => b.textContent.endsWith('_11')).click()")
    assert page.execute_script(f"return {stages}.querySelectorAll('.scatterlayer .trace').length") == 9 + 2
    ranks = "document.querySelector('#ranking .plot')"
    assert page.execute_script(f"return {ranks}.querySelectorAll('.errorbar').length") == 12
    names = page.execute_script(f"return [...{ranks}.querySelectorAll('.ytick text')].map(t => t.textContent)")
    assert sorted(names) == sorted(f"a_task_with_a_long_name_{i}" for i in range(12))
    inside = f"return [...{ranks}.querySelectorAll('.ytick text')].every(t => t.getBoundingClientRect().left >= 0)"
    assert page.execute_script(inside)
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    assert page.get_log("browser") == []


@pytest.mark.slow
def test_ten_runs_open_at_once_and_are_light(
    new_browser: Browser, tmp_path: Path, comparison_folder: Callable[..., Path]
) -> None:
    page = new_browser
    folder = comparison_folder(tmp_path / "compared", {f"task_{i}": 60.0 + i for i in range(10)})
    for run in folder.iterdir():
        if run.is_dir():
            made.add_all(run)
    target = write_report(folder)
    assert target.stat().st_size < 15_000_000
    size = {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    page.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    page.get(target.as_uri())
    wait_for(page, "return ['seen', 'all'].includes(document.documentElement.dataset.drawn)")
    busy = {m["name"]: m["value"] for m in page.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]}
    # Seconds of work, not of the clock: other programs of the machine must not fail this.
    assert busy["TaskDuration"] < 2.0
    opened_after = page.execute_script("return performance.getEntriesByType('navigation')[0].domInteractive / 1000")
    print(
        f"{target.stat().st_size / 1e6:.1f} MB, {busy['TaskDuration']:.2f} s of work, open after {opened_after:.2f} s"
    )
    assert page.get_log("browser") == []


def test_hostile_names_run_nothing(browser: Browser, tmp_path: Path, run_folder: Callable[..., Path]) -> None:
    hostile = "<img src=x onerror=\"document.title='taken'\">"
    page = opened(browser, write_report(run_folder(tmp_path / "run", task=hostile)), width=1280, unfold=False)
    assert page.title.startswith("<img src=x onerror")
    assert page.execute_script("return document.querySelectorAll('img:not([src^=\"data:\"])').length") == 0
    assert hostile in page.find_element("css selector", "h1").text
    assert hostile in page.find_element("css selector", ".legend").text
