"""Photograph the page of a folder of runs for the README and the docs: `python docs/screenshots.py RUNS_FOLDER`.

RUNS_FOLDER is a run, a comparison or a folder of runs. Needs Chromium with its driver, and selenium.
"""

from __future__ import annotations

import argparse
import base64
import io
import math
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from selftaught.report import write_report

OUT = Path(__file__).parent / "pictures"
MOST_BYTES = 300_000
"""Of one picture."""
COLOURS = (256, 128, 64, 32)
"""Palettes, tried until a picture is small enough."""
CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --hide-scrollbars"
)
DRAWN = "return ['seen', 'all'].includes(document.documentElement.dataset.drawn)"
NEXT_FRAMES = """
    const done = arguments[0];
    const wait = (frames) => frames ? requestAnimationFrame(() => wait(frames - 1)) : setTimeout(done);
    wait(3);"""
PLACE = """
    const first = [...document.querySelectorAll(arguments[0])].find((e) => e.offsetHeight);
    const last = [...(first?.parentElement.children ?? [])].find((e) => e.matches(arguments[1]));
    if (!last) return null;
    const [a, b] = [first, last].map(e => e.getBoundingClientRect());
    return [a.top + scrollY, b.bottom + scrollY]"""


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One picture.

    Attributes:
        width: of the window, CSS pixels.
        height: of the picture from the top of the page; None where `part` says it.
        scale: pixels of the picture for one of the page.
        part: selectors of the first section in it and of the last one, beside it; of many runs the first one with
            pictures is opened.
    """

    width: int = 1280
    height: int | None = None
    scale: float = 1.5
    dark: bool = False
    part: tuple[str, str] | None = None


SHOTS = {
    "report.png": Shot(height=1240),
    "report-dark.png": Shot(height=1240, dark=True),
    "report-phone.png": Shot(width=390, height=844, scale=2),
    "report-run.png": Shot(scale=1, part=("[id$=sees]", "[id$=curves]")),
}


def main() -> None:
    """Read the command line and tell what was written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, metavar="RUNS_FOLDER")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the pictures (default: %(default)s)")
    told = parser.parse_args()
    for path in photograph(told.runs, told.out):
        print(f"{path} {path.stat().st_size / 1000:.0f} kB")


def photograph(runs: Path, out: Path) -> list[Path]:
    """Write every picture of `SHOTS` that the page of `runs` has; return their paths."""
    out.mkdir(parents=True, exist_ok=True)
    written = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, chromium(Path(folder)) as browser:
        page = write_report(runs, Path(folder) / "page.html")
        for name, shot in SHOTS.items():
            if (picture := taken(browser, page, shot)) is not None:
                (out / name).write_bytes(light_png(picture))
                written.append(out / name)
    return written


@contextmanager
def chromium(folder: Path) -> Iterator[Any]:
    """A headless Chromium with its profile in `folder`."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [*FLAGS.split(), f"--user-data-dir={folder / 'chromium'}"]:
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


def taken(browser: Any, page: Path, shot: Shot) -> Image.Image | None:
    """The picture; None where the page has no such part."""
    size = {"width": shot.width, "height": shot.height or 900, "deviceScaleFactor": 1, "mobile": shot.width < 600}
    scheme = {"name": "prefers-color-scheme", "value": "dark" if shot.dark else "light"}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    browser.get(page.as_uri())
    top, bottom = 0.0, float(shot.height or 0)
    if shot.part is not None:
        # In a folded run nothing has a height.
        browser.execute_script("document.querySelector('details.run:has(.samples)')?.setAttribute('open', '')")
        found = browser.execute_script(PLACE, *shot.part)
        if found is None:
            return None
        top, bottom = found[0] - 24, found[1] + 24
        # A window of the part's height, moved to it: one as tall as the page can be more than Chromium paints.
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**size, "height": math.ceil(bottom - top)})
        browser.execute_script("scrollTo(0, arguments[0])", top)
    _wait(browser)
    clip = {"x": 0, "y": top, "width": shot.width, "height": bottom - top, "scale": shot.scale}
    told = {"format": "png", "captureBeyondViewport": False, "clip": clip}
    data = browser.execute_cdp_cmd("Page.captureScreenshot", told)["data"]
    return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")


def light_png(picture: Image.Image) -> bytes:
    """The picture with the largest palette that keeps it below `MOST_BYTES`."""
    for colours in COLOURS:
        file = io.BytesIO()
        picture.quantize(colours, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
        if file.tell() <= MOST_BYTES:
            return file.getvalue()
    raise ValueError(f"a picture of {picture.size} pixels needs {file.tell():,} bytes, more than {MOST_BYTES:,}")


def _wait(browser: Any) -> None:
    """Until all plots in view are drawn."""
    end = time.monotonic() + 120
    browser.execute_async_script(NEXT_FRAMES)  # what came into view just now is noticed in one of them
    while not browser.execute_script(DRAWN):
        if time.monotonic() > end:
            raise TimeoutError("the plots of the page were not drawn within two minutes")
        time.sleep(0.1)


if __name__ == "__main__":
    main()
