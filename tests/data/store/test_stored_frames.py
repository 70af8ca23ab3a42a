"""Items of a store are read whole, as the samples of them are cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from selftaught.data.batch import Sampling
from selftaught.data.sources.open import open_source
from selftaught.data.store.open import open_samples
from selftaught.data.store.stored_frames import stored_of
from selftaught.data.store.subset import Subset
from tests.evaluation.drawn_classes import DrawnSamples


@pytest.mark.parametrize("limit", [1.0, 0.0], ids=["packed", "decoded live"])
def test_images_are_read_with_both_sides(tmp_path: Path, limit: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    pixels = [rng.integers(0, 255, shape, np.uint8) for shape in ((20, 30, 3), (30, 20, 3))]
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    source = open_source(str(tmp_path), split="train", needs=frozenset({"image"}), held_out=0.0)
    samples = open_samples(source, side=20, sampling=Sampling(), cache_limit_gb=limit, workers=1)
    stored, items = stored_of(Subset(samples, np.array([1])))
    assert items.tolist() == [1]
    assert stored.first.tolist() == [0, 1, 2]
    assert stored.folder.is_dir()
    for item, image in enumerate(pixels):
        assert (stored.height[item], stored.width[item]) == image.shape[:2]
        (read,) = stored.read(item)
        assert np.array_equal(read, image)


def test_samples_of_no_store_are_refused() -> None:
    samples = DrawnSamples("any", 2)
    for which in (samples, Subset(samples, np.array([1]))):
        with pytest.raises(ValueError, match="computed labels need a packed store, and these data have none"):
            stored_of(which)
