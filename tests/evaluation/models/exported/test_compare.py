"""Whether two sets of boxes are alike."""

from __future__ import annotations

import numpy as np

from selftaught.evaluation.metrics.box_matches import Found
from selftaught.evaluation.models.exported.compare import partners, sample_of


def found(*boxes: tuple[float, float, int]) -> Found:
    """Of (left corner, score, label)."""
    corners = np.array([[left, 0, left + 10, 10] for left, _, _ in boxes], np.float64).reshape(-1, 4)
    return Found(
        boxes=corners, scores=np.array([s for _, s, _ in boxes]), labels=np.array([k for _, _, k in boxes], np.int64)
    )


def test_partners_are_of_a_class_near_and_as_sure() -> None:
    first = found((0, 0.9, 0), (20, 0.8, 1), (40, 0.7, 0))
    second = found((0.4, 0.9004, 0), (20, 0.8, 0), (43, 0.7, 0), (40, 0.5, 0))
    own, other = partners(first, second, 1.0)
    assert np.allclose(own, [0.0004, np.inf, np.inf])  # another class; another place, another score
    assert np.allclose(other, [0.0004, np.inf, np.inf, np.inf])


def test_nothing_found_has_no_partners() -> None:
    own, other = partners(found(), found((0, 0.5, 0)), 1.0)
    assert (own.tolist(), other.tolist()) == ([], [np.inf])


def test_an_image_becomes_a_sample_without_annotations() -> None:
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    sample = sample_of(image)
    assert sample.image.shape == (3, 2, 4)
    assert sample.image[1].tolist() == image[..., 1].tolist()
    assert len(sample.boxes) == 0
