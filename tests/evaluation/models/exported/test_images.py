"""What all programs of boxes and masks do with an image is what the library does."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F

from selftaught.evaluation.models.exported.graph import Graph
from selftaught.evaluation.models.exported.images import known, normalised, resized, rounded, sides_of
from selftaught.ops.colour import normalise


@pytest.mark.parametrize(("before", "after"), [((33, 90), (12, 31)), ((20, 24), (41, 50)), ((7, 64), (7, 100))])
def test_images_are_resized_and_normalised_as_torch_does(before: tuple[int, int], after: tuple[int, int]) -> None:
    g = Graph()
    picture = resized(g, "images", *(g.value(np.array([side])) for side in after))
    program = g.program(
        {"images": ("uint8", ("n", "h", "w", 3))},
        {
            "picture": (picture, "float32", ("n", 3, *after)),
            "x": (normalised(g, picture, 3), "float32", ("n", 3, *after)),
        },
        {},
    )
    images = np.random.default_rng(0).integers(0, 256, (2, *before, 3), dtype=np.uint8)
    found, x = onnxruntime.InferenceSession(program.SerializeToString()).run(None, {"images": images})
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    expected = F.interpolate(pixels, after, mode="bilinear", antialias=True, align_corners=False)
    assert np.abs(found - expected.numpy()).max() < 1e-3  # of 255; torch computes weights in 32 bits
    assert np.abs(x - normalise(expected / 255).numpy()).max() < 2e-5


def test_sides_round_as_python_does() -> None:
    g = Graph()
    high, _ = sides_of(g, "images")
    half = rounded(g, g.op("Div", g.cast(high, "float64"), np.float64(2)), 3)
    program = g.program({"images": ("uint8", (1, "h", "w", 3))}, {"half": (half, "int64", (1,))}, {})
    session = onnxruntime.InferenceSession(program.SerializeToString())
    for side in (1, 5, 6, 7, 9, 11, 13):
        (found,) = session.run(None, {"images": np.zeros((1, side, 2, 3), np.uint8)})
        assert found.tolist() == [max(3, round(side / 2))]


def test_a_threshold_is_of_six_places() -> None:
    g = Graph()
    program = g.program({"p": ("float32", ("n",))}, {"sure": (known(g, "p", 0.6), "bool", ("n",))}, {})
    values = np.array([0.5, 0.5999999, 0.59999, 0.6, 0.61], np.float32)
    (found,) = onnxruntime.InferenceSession(program.SerializeToString()).run(None, {"p": values})
    assert found.tolist() == [False, True, False, True, True] == (values.astype(float).round(6) >= 0.6).tolist()
