from __future__ import annotations

import io
import runpy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "screenshots.py"


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


def test_a_image_takes_as_many_colours_as_its_weight_allows(
    script: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 30_000
    monkeypatch.setitem(script["light_png"].__globals__, "MOST_BYTES", most)
    noise = np.random.default_rng(0).integers(0, 255, (160, 250, 3), dtype=np.uint8)
    flat = Image.fromarray(np.full((160, 250, 3), 200, dtype=np.uint8))
    heavy, light = (script["light_png"](picture) for picture in (Image.fromarray(noise), flat))
    assert len(light) < len(heavy) <= most
    assert len(Image.open(io.BytesIO(heavy)).getcolors() or ()) in script["COLOURS"][1:]
    with pytest.raises(ValueError, match="bytes, more than 30,000"):
        script["light_png"](Image.fromarray(np.concatenate([noise] * 8)))


def test_every_screenshot_shows_a_drawn_page(
    tmp_path: Path, script: dict[str, Any], comparison_folder: Callable[..., Path]
) -> None:
    pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    for program in (script["CHROMIUM"], script["DRIVER"]):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed; .ci/run installs it")
    folder = comparison_folder(tmp_path / "compared", {"rotation": 61.2, "simclr": 66.4, "jigsaw": 55.0})
    paths = script["photograph"](folder, tmp_path / "pictures")
    assert [path.name for path in paths] == list(script["SHOTS"])
    pictures = {path.stem: np.asarray(Image.open(path).convert("RGB"), dtype=int) for path in paths}
    assert all(path.stat().st_size <= script["MOST_BYTES"] for path in paths)
    assert pictures["report"].shape[1] == 1.5 * 1280
    assert pictures["report-phone"].shape == (2 * 844, 2 * 390, 3)
    assert pictures["report"].mean() > 230 > 60 > pictures["report-dark"].mean()
    green = np.abs(pictures["report"] - [27, 122, 67]).sum(2) < 12
    assert green[900:].sum() > 100, "the points of the plot below the answer"
    blue = np.abs(pictures["report-run"] - [47, 98, 192]).sum(2) < 40
    assert blue.sum() > 200, "the curves of the run that was opened"
