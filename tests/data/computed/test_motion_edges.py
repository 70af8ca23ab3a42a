"""Motion edges are the borders of what moves on its own, at the pixel where the image has them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from selftaught.data.computed.image_edges import gradient_edges
from selftaught.data.computed.motion_edges import MotionEdges, flow_edges
from selftaught.evaluation.metrics.contour_match import count_matches, score_contours, thresholds_of
from selftaught.evaluation.metrics.mask_match import boundaries
from selftaught.ops.edges.ridges import thin
from tests.data.computed.moving import shifting, with_square


def score(edges: NDArray[np.float32], masks: NDArray[np.bool_]) -> float:
    """ODS of edges (T, H, W), thinned, against the borders of masks (T, H, W)."""
    lines = thin(torch.from_numpy(np.ascontiguousarray(edges))).numpy()
    truth = boundaries(torch.from_numpy(masks)).numpy()
    thresholds = thresholds_of(8)
    counts = [count_matches(one, drawn[None], thresholds) for one, drawn in zip(lines, truth, strict=True)]
    return score_contours(np.stack(counts), thresholds).ods


@pytest.mark.parametrize("camera", [(0, 0), (2, 1)], ids=["still", "moving"])
def test_the_border_of_a_square_that_moves_over_a_texture_is_found(camera: tuple[int, int]) -> None:
    """All is texture, so that edges of the image alone say nothing."""
    frames, truth = with_square(shifting(3, *camera), 3, 0)
    edges = MotionEdges().run(frames)
    assert edges.shape == (2, 96, 120, 1)
    found = score(edges[..., 0], truth[:2])
    assert found > 0.4
    image_alone = score(np.stack([gradient_edges(frame) for frame in frames[:2]]), truth[:2])
    assert found > 1.5 * image_alone


def test_a_camera_that_moves_alone_has_no_edges() -> None:
    edges = MotionEdges().run(shifting(2, 3, 1))
    assert edges[:, 12:-12, 12:-12].mean() < 0.06


def test_flow_has_edges_where_it_changes() -> None:
    flow = np.zeros((20, 30, 2), np.float32)
    flow[:, 15:] = (4, 0)
    found = flow_edges(flow)
    assert found[:, 14:16].min() == 1
    assert found[:, :10].max() == found[:, 20:].max() == 0
    assert flow_edges(np.full((20, 30, 2), 3, np.float32)).max() == 0


@pytest.mark.parametrize(("reach", "sentence"), [(-0.1, "got -0.1"), (0.5, "got 0.5")])
def test_a_reach_that_cannot_be_is_refused(reach: float, sentence: str) -> None:
    with pytest.raises(ValueError, match=rf"reach of motion_edges must be in \[0, 0\.5\), {sentence}"):
        MotionEdges(reach=reach)


@pytest.mark.slow  # three seconds on real data
def test_on_davis_they_are_better_than_edges_of_the_image_or_the_flow_alone(shared_data: Callable[[str], Path]) -> None:
    pairs = []
    with zipfile.ZipFile(shared_data("davis240") / "davis240.zip") as archive:
        for name in ("cows", "dog", "drift-chicane", "car-shadow"):
            frames, masks = [], []
            for t in (10, 11):
                image = Image.open(io.BytesIO(archive.read(f"frames/{name}/{t:05}.jpg")))
                mask = Image.open(io.BytesIO(archive.read(f"masks/{name}/{t:05}.png"))).convert("L")
                frames.append(np.asarray(image.convert("RGB").resize((284, 160))))
                masks.append(np.asarray(mask.resize((284, 160))) > 127)
            pairs.append((np.stack(frames), masks[0]))
    truth = np.stack([mask for _, mask in pairs])
    both, flow = (np.concatenate([MotionEdges(reach=r).run(f)[..., 0] for f, _ in pairs]) for r in (0.02, 0.0))
    contrast = np.stack([gradient_edges(frames[0]) for frames, _ in pairs])
    assert score(both, truth) > max(score(flow, truth), score(contrast, truth)) + 0.05
