"""Programs of masks cut, join and answer as `predict` does, on images of any size."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from selftaught.evaluation.models.dense_model import _One
from selftaught.evaluation.models.exported import masks
from selftaught.evaluation.models.exported.compare import sample_of
from selftaught.evaluation.models.exported.graph import Graph
from selftaught.evaluation.models.exported.masks import masks_program
from selftaught.evaluation.probes.segmentation import predictions

CLASSES = ("a", "b", "c", "d")
SIZE = 16


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> nn.Conv2d:
    """A single convolution; its program is written by hand, as importing `torch.onnx` takes seconds."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Conv2d(3, len(CLASSES), 3, padding=1)

    def program_of(network: nn.Conv2d, *_: Any) -> Any:
        assert network.bias is not None
        g = Graph()
        found = g.op("Conv", "x", network.weight.detach().numpy(), network.bias.detach().numpy(), pads=[1] * 4)
        shape = ("n", 3, SIZE, SIZE)
        return g.program({"x": ("float32", shape)}, {"y": (found, "float32", ("n", len(CLASSES), SIZE, SIZE))}, {})

    monkeypatch.setattr(masks, "program_of", program_of)
    return network


@pytest.mark.parametrize("shape", [(16, 16), (40, 33), (20, 71), (90, 17), (5, 12), (37, 10), (4, 90), (900, 4)])
def test_pixels_get_the_class_and_probability_that_predict_gives(network: Any, shape: tuple[int, int]) -> None:
    program = masks_program(network, SIZE, 0.0, {"classes": "[]"})
    images = np.random.default_rng(0).integers(0, 256, (2, *shape, 3), dtype=np.uint8)
    found, probability = onnxruntime.InferenceSession(program.SerializeToString()).run(None, {"images": images})
    assert (found.dtype, found.shape, probability.shape) == (np.uint8, (2, *shape), (2, *shape))
    for i, image in enumerate(images):
        with torch.no_grad():
            one = predictions(network, _One(sample_of(image), CLASSES), SIZE, torch.device("cpu"))
            ((_, labels, confidence),) = one
        gap = np.abs(probability[i] - confidence)
        # A resized pixel in the middle of two levels may be rounded to either.
        assert np.median(gap) < 1e-6
        assert gap.max() < 5e-3
        assert (found[i] != labels).mean() < 0.003


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 2)])
def test_a_line_of_pixels_takes_little_memory(network: Any, shape: tuple[int, int]) -> None:
    """Without a limit (1, 5000) is 80,000 pixels of 16 lines in 5,000 windows: 51 GB to tell which is in which."""
    program = masks_program(network, SIZE, 0.0, {})
    image = np.random.default_rng(0).integers(0, 256, (1, *shape, 3), dtype=np.uint8)
    found, probability = onnxruntime.InferenceSession(program.SerializeToString()).run(None, {"images": image})
    assert (found.shape, probability.shape) == ((1, *shape), (1, *shape))
    assert len(np.unique(found)) > 1


def test_pixels_below_the_threshold_are_255(network: Any) -> None:
    images = np.random.default_rng(0).integers(0, 256, (1, 24, 30, 3), dtype=np.uint8)
    every, sure = (
        onnxruntime.InferenceSession(masks_program(network, SIZE, least, {}).SerializeToString()).run(
            None, {"images": images}
        )
        for least in (0.0, 0.4)
    )
    told = every[1].astype(np.float64).round(6) >= 0.4
    assert 0 < told.mean() < 1
    assert np.array_equal(sure[0], np.where(told, every[0], 255))
    assert np.array_equal(sure[1], every[1])
