"""Pixels of polygons and run lengths, against plain loops and pycocotools."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from selftaught.data.annotations.coco_regions import polygon_pixels, region_pixels, runs_of


def inside(polygon: np.ndarray, x: float, y: float) -> bool:
    """Even-odd rule for one point: a ray to the left."""
    crossings = 0
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if (y0 <= y) != (y1 <= y) and x0 + (y - y0) / (y1 - y0) * (x1 - x0) < x:
            crossings += 1
    return crossings % 2 == 1


@pytest.mark.parametrize("seed", range(5))
def test_a_polygon_is_the_pixels_whose_centres_are_inside(seed: int) -> None:
    polygon = np.random.default_rng(seed).uniform(-3, 22, (7, 2)).astype(np.float32)  # crosses itself and the border
    found = polygon_pixels(polygon, 15, 20)
    expected = [[inside(polygon.astype(np.float64), x + 0.5, y + 0.5) for x in range(20)] for y in range(15)]
    assert np.array_equal(found, expected)
    assert found.any()


def test_runs_go_down_the_columns() -> None:
    region = {"size": [3, 4], "counts": [4, 2, 6]}
    expected = np.zeros((3, 4), bool)
    expected[1:, 1] = True
    assert np.array_equal(region_pixels(region, 3, 4), expected)
    with pytest.raises(ValueError, match="runs of 12 pixels in all, not 16"):
        region_pixels({"size": [4, 4], "counts": [4, 2, 6]}, 4, 4)
    with pytest.raises(ValueError, match="has the size"):
        region_pixels(region, 4, 3)


@pytest.mark.parametrize("seed", range(4))
def test_compressed_runs_agree_with_pycocotools(seed: int) -> None:
    mask = pytest.importorskip("pycocotools.mask")
    pixels = np.random.default_rng(seed).random((37, 61)) < (0.02, 0.3, 0.5, 0.98)[seed]
    packed = mask.encode(np.asfortranarray(pixels.astype(np.uint8)))
    region = {"size": list(packed["size"]), "counts": packed["counts"].decode()}
    assert np.array_equal(region_pixels(region, 37, 61), pixels)
    assert sum(runs_of(packed["counts"])) == pixels.size


def test_real_polygons_agree_with_pycocotools(shared_data: Callable[[str], Path]) -> None:
    mask = pytest.importorskip("pycocotools.mask")
    with zipfile.ZipFile(shared_data("coco256") / "coco256.zip") as archive:
        content = json.loads(archive.read("annotations/instances_val.json"))
    sizes = {image["id"]: (image["height"], image["width"]) for image in content["images"]}
    ours = theirs = both = 0
    for note in content["annotations"][:100]:
        height, width = sizes[note["image_id"]]
        rings = [np.asarray(ring, np.float32).reshape(-1, 2) for ring in note["segmentation"]]
        found = region_pixels(rings, height, width)
        merged = mask.merge(mask.frPyObjects(note["segmentation"], height, width))
        other = mask.decode(merged).astype(bool)
        ours, theirs, both = ours + found.sum(), theirs + other.sum(), both + (found & other).sum()
    assert both / (ours + theirs - both) > 0.95  # pycocotools rounds vertices to a fifth of a pixel, outwards
