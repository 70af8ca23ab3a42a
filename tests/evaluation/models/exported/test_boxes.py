"""Programs of boxes choose, read and answer as torchvision does."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor

from selftaught.core.randomness import generator
from selftaught.evaluation.dense.box_batches import Canvas
from selftaught.evaluation.dense.detector import Detector
from selftaught.evaluation.models.exported import boxes as module
from selftaught.evaluation.models.exported.graph import Graph
from selftaught.evaluation.probes.catalogue import make_probe
from selftaught.evaluation.probes.detection import Detection
from selftaught.features.reader import Reader
from tests.evaluation.drawn_boxes import TinyEncoder

IMAGE = (60, 80)


@pytest.fixture(scope="module")
def detector() -> Detector:
    probe = make_probe("detection", {"size": 60, "channels": 8, "hidden": 8, "proposals": 40}, seed=0)
    assert isinstance(probe, Detection)
    reader = Reader(encoder=TinyEncoder(), size=60, device=torch.device("cpu"), precision="32-true")
    found: Detector = probe.build(reader, 3, None)[0].eval()
    return found


def drawn(count: int, *, seed: int = 0) -> Tensor:
    """(count, 4) boxes that reach a little beyond the image; some are thin."""
    rng = generator("boxes", seed)
    corners = torch.rand(count, 2, generator=rng) * torch.tensor([IMAGE[1], IMAGE[0]]) - 5
    sides = torch.rand(count, 2, generator=rng) * 40
    sides[:: max(1, count // 5)] = 0
    return torch.cat([corners, corners + sides], 1)


def answered(g: Graph, inputs: dict[str, Tensor], outputs: dict[str, tuple[str, str, int]]) -> list[Any]:
    shapes: dict[str, Any] = {name: ("float32", tuple(value.shape)) for name, value in inputs.items()}
    ends = {
        name: (value, kind, tuple(f"{name}{i}" for i in range(rank))) for name, (value, kind, rank) in outputs.items()
    }
    program = g.program(shapes, ends, {})
    session = onnxruntime.InferenceSession(program.SerializeToString())
    found: list[Any] = session.run(None, {name: value.numpy() for name, value in inputs.items()})
    return found


def limits() -> np.ndarray:
    return np.array([IMAGE[1], IMAGE[0]] * 2, np.float32)


def test_candidates_are_those_of_torchvision(detector: Detector) -> None:
    counts = [2000, 300, 40, 8][: detector.rpn_levels]
    boxes = [drawn(count, seed=count) for count in counts]
    scores = [torch.randn(count, generator=generator("scores", count)) for count in counts]
    inputs = {f"{kind}{i}": value for i in range(len(counts)) for kind, value in (("s", scores[i]), ("b", boxes[i]))}
    g = Graph()
    (found,) = answered(
        g, inputs, {"found": (module._proposals(g, detector, list(inputs), g.value(limits())), "float32", 2)}
    )
    (expected,), _ = detector.rpn.filter_proposals(torch.cat(boxes)[None], torch.cat(scores)[None], [IMAGE], counts)
    assert len(expected) == 40
    assert np.array_equal(found, expected.numpy())


def test_candidates_are_read_from_the_map_that_suits_their_size(detector: Detector) -> None:
    pool = detector.roi_heads.box_roi_pool
    boxes = torch.cat([drawn(30).clamp(min=0), torch.tensor([[0.0, 0, 79, 59], [3, 4, 5, 6]])])
    maps = {name: torch.randn(1, 2, 64 >> i, 80 >> i, generator=generator("map", i))
            for i, name in enumerate(pool.featmap_names)}  # fmt: skip
    g = Graph()
    inputs = {f"m{name}": value for name, value in maps.items()} | {"boxes": boxes}
    read = module._pooled(g, pool, [f"m{name}" for name in maps], "boxes")
    (found,) = answered(g, inputs, {"found": (read, "float32", 4)})
    assert len(set(pool.map_levels([boxes]).tolist())) > 1
    assert np.abs(found - pool(maps, [boxes], [IMAGE]).numpy()).max() < 1e-5


def test_answers_are_those_of_torchvision(detector: Detector) -> None:
    heads, proposals = detector.roi_heads, drawn(150)
    logits = 2 * torch.randn(150, 4, generator=generator("logits"))
    boxes = torch.stack([drawn(150, seed=k) for k in range(4)], 1)
    deltas = torch.cat([heads.box_coder.encode_single(_large(boxes[:, k]), _large(proposals)) for k in range(4)], 1)
    proposals = _large(proposals)
    decoded = heads.box_coder.decode_single(deltas, proposals).unflatten(1, (4, 4))
    inputs = {"scores": logits.softmax(1)[:, 1:].contiguous(), "boxes": decoded[:, 1:].contiguous()}
    g = Graph()
    found = module._answers(g, detector, "scores", "boxes", g.value(limits()))
    names = {"b": (found[0], "float32", 2), "s": (found[1], "float32", 1), "l": (found[2], "int64", 1)}
    own, score, labels = answered(g, inputs, names)
    (expected,), (scores,), (numbers,) = heads.postprocess_detections(logits, deltas, [proposals], [IMAGE])
    assert len(expected) == 100
    assert np.array_equal(own, expected.numpy())
    assert np.array_equal(score, scores.numpy())
    assert np.array_equal(labels, numbers.numpy() - 1)


def _large(boxes: Tensor) -> Tensor:
    """With sides of a pixel at least, as a network's deltas cannot make others of them."""
    return torch.cat([boxes[:, :2], torch.maximum(boxes[:, 2:], boxes[:, :2] + 1)], 1)


@pytest.mark.parametrize(
    "canvas", [Canvas(size=64, multiple=32, least=1), Canvas(size=50, multiple=1, least=50, side=50)]
)
def test_images_get_the_canvas_that_predict_gives_them(canvas: Canvas) -> None:
    g = Graph()
    sides = g.ops("Split", 2, "sides", axis=0, num_outputs=2)
    shape = module._shape(g, (sides[0], sides[1]), canvas)
    whole = [module._whole(g, side, canvas) for side in shape]
    names = {name: (value, "int64", (1,)) for name, value in zip("hwHW", (*shape, *whole), strict=True)}
    program = g.program({"sides": ("int64", (2,))}, names, {})
    session = onnxruntime.InferenceSession(program.SerializeToString())
    for height, width in ((64, 64), (480, 640), (37, 53), (100, 999), (641, 333), (1, 5000)):
        found = [int(value[0]) for value in session.run(None, {"sides": np.array([height, width])})]
        scale = canvas.scale(height, width)
        inner = max(1, round(scale * height)), max(1, round(scale * width))
        assert tuple(found) == (*inner, *canvas.shape([inner]))
        assert max(found) <= 128  # also of a line of pixels
