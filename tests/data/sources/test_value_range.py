"""One range of values for all deep images of a run."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import selftaught
from selftaught.core.settings.values import read_range
from selftaught.data.batch import Sampling
from selftaught.data.store.open import open_samples
from tests.data.small_runs import QUICK, source_of

pytestmark = pytest.mark.usefixtures("cache")


def deep_folder(folder: Path, low: int, high: int, ending: str = ".png") -> Path:
    """Images of 16 bits whose values differ from image to image within the range."""
    folder.mkdir(parents=True)
    ramp = np.linspace(low, high, 64 * 64).reshape(64, 64)
    for i in range(20):
        part = ramp if i % 2 else low + (ramp - low) / 4
        (folder / f"{i:02d}{ending}").write_bytes(cv2.imencode(ending, part.astype(np.uint16))[1].tobytes())
    return folder


@pytest.mark.parametrize("ending", [".png", ".tiff"])
@pytest.mark.parametrize(("low", "high", "text"), [(0, 4095, "0,4095"), (0, 65535, "0,65535"), (200, 1200, "200,1198")])
def test_one_range_for_a_whole_run(tmp_path: Path, low: int, high: int, text: str, ending: str) -> None:
    from selftaught.core.settings.groups import DataSettings
    from selftaught.data.sources.value_range import decoding_of, with_range

    folder = deep_folder(tmp_path / "deep", low, high, ending)
    reading = with_range(DataSettings(path=str(folder)), source_of(folder, "train", 0.0))
    assert reading.value_range == text
    found = read_range(reading.value_range)
    assert found is not None
    assert abs(found.low - low) <= 0.01 * (high - low)
    assert abs(found.high - high) <= 0.01 * (high - low)
    assert with_range(DataSettings(path=str(folder)), source_of(folder, "train", 0.0)) == reading
    source = source_of(folder, "train", 0.0)
    samples = open_samples(
        source, side=64, sampling=Sampling(), cache_limit_gb=1.0, workers=1, decoding=decoding_of(reading)
    )
    images = samples.read(np.arange(2), np.full((2, 3), 0.5))["image"]
    assert images is not None
    assert len(np.unique(images[1])) >= 200
    # The darker image stays darker: not each by its own range.
    assert abs(float(images[0].max()) - 64) <= 3
    assert images[1].min() <= 1
    assert images[1].max() >= 254


def test_the_range_is_reported_and_kept_by_the_run(tmp_path: Path) -> None:
    folder = deep_folder(tmp_path / "deep", 0, 4095)
    result = selftaught.pretrain(folder, out=tmp_path / "run", **QUICK)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["value_range"] == "0,4095"
    assert any("0 to 4095" in note for note in result["notes"])
    own = selftaught.pretrain(folder, out=tmp_path / "own", value_range="0,1000", **QUICK)
    assert any("0 to 1000" in note for note in own["notes"])
    with pytest.raises(ValueError, match="--value-range must be auto or two numbers LOW,HIGH"):
        selftaught.pretrain(folder, out=tmp_path / "no", value_range="5,5", **QUICK)


def test_boxes_and_masks_of_deep_images_are_read_by_the_range_of_the_training_part(tmp_path: Path) -> None:
    from selftaught.evaluation.data.dense import open_dense

    for i in range(8):
        for folder in ("images", "masks"):
            (tmp_path / folder).mkdir(exist_ok=True)
        ramp = np.linspace(100, 900 if i % 2 else 300, 32 * 32).reshape(32, 32).astype(np.uint16)
        (tmp_path / "images" / f"{i}.png").write_bytes(cv2.imencode(".png", ramp)[1].tobytes())
        Image.fromarray((ramp > 200).astype(np.uint8)).save(tmp_path / "masks" / f"{i}.png")
    (tmp_path / "classes.txt").write_text("background\nthing\n")
    data = open_dense(str(tmp_path), needs=frozenset({"mask"}), held_out=0.3)
    tops = sorted({int(half.read(i).image.max()) for half in (data.train, data.test) for i in range(len(half))})
    assert len(tops) == 2
    assert tops[1] >= 254
    assert abs(tops[0] - 64) < 4
