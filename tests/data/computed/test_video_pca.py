"""VideoPCA finds what is in no place for long, by its formulas as loops."""

from __future__ import annotations

import colorsys
import math
from typing import Any

import numpy as np
import pytest

from selftaught.data.computed.video_pca import VideoPca, centre, colour_scores, hysteresis, reconstruction_error
from tests.data.computed.moving import shifting, with_square


def test_the_error_of_reconstruction_against_the_components_in_pixels() -> None:
    frames = np.random.default_rng(0).random((6, 4, 5, 3)).astype(np.float32)
    flat = frames.reshape(6, -1).astype(np.float64)
    mean = flat.mean(0)
    values, components = np.linalg.eigh(np.cov(flat.T))
    chosen = components[:, np.argsort(values)[-2:]]
    for t in range(6):
        rebuilt = mean + sum(float((flat[t] - mean) @ one) * one for one in chosen.T)
        error = (flat[t] - rebuilt).reshape(4, 5, 3)
        expected = [[math.sqrt(sum(v * v for v in error[y, x])) for x in range(5)] for y in range(4)]
        assert np.allclose(reconstruction_error(frames, 2)[t], expected, atol=1e-5)


def test_a_ground_that_stands_still_is_explained_by_the_mean() -> None:
    frames = np.repeat(shifting(1, 0, 0, height=20, width=30), 5, axis=0).astype(np.float32) / np.float32(255)
    assert reconstruction_error(frames, 1).max() < 1e-4


def test_scores_of_colours_against_loops() -> None:
    rng = np.random.default_rng(0)
    frames = (rng.integers(0, 4, (2, 6, 7, 3)) / 3).astype(np.float32)
    foreground = rng.random((2, 6, 7)) < 0.3

    def of(pixel: np.ndarray) -> tuple[int, int, int]:
        hue, saturation, value = colorsys.rgb_to_hsv(*pixel.tolist())
        along = saturation * math.cos(2 * math.pi * hue), saturation * math.sin(2 * math.pi * hue)
        return round((along[0] + 1) / 2 * 14), round((along[1] + 1) / 2 * 10), round(value * 6)

    counted: dict[bool, list[tuple[int, int, int]]] = {True: [], False: []}
    for place in np.ndindex(2, 6, 7):
        counted[bool(foreground[place])].append(of(frames[place]))
    found = colour_scores(frames, foreground)
    for place in np.ndindex(2, 6, 7):
        inside, outside = (counted[side].count(of(frames[place])) / len(counted[side]) for side in (True, False))
        assert found[place] == pytest.approx(inside / (inside + outside), abs=1e-6)


def test_hysteresis_keeps_what_is_connected_with_what_is_strong() -> None:
    values = np.zeros((5, 8), np.float32)
    values[0, 0:2], values[1, 2] = (0.6, 0.6), 0.9  # connected over a corner
    values[3, 5:7] = 0.7
    kept = hysteresis(values, low=0.5, high=0.8)
    assert np.argwhere(kept).tolist() == [[0, 0], [0, 1], [1, 2]]


def test_the_middle_of_a_frame_counts_most() -> None:
    weights = centre(9, 15)
    for y in range(9):
        for x in range(15):
            assert weights[y, x] == pytest.approx(math.exp(-((y - 4) ** 2 + (x - 7) ** 2) / (2 * 3**2)), rel=1e-5)


def test_a_square_that_moves_over_a_ground_that_stands_still_is_found() -> None:
    frames, truth = with_square(shifting(12, 0, 0) // 2 + 60, 3, 1, side=20, top=30, left=35)
    frames[truth] = frames[truth] // 4 + np.array([180, 20, 20], np.uint8)
    masks = VideoPca().run(frames)
    assert masks.shape == (12, 48, 60, 1)
    assert masks.dtype == np.uint8
    found = masks[..., 0].repeat(2, 1).repeat(2, 2)
    known = found != 255
    assert known.mean() > 0.7
    assert ((found == 1) & truth).sum() / (((found == 1) | truth) & known).sum() > 0.7


def test_a_shot_of_one_frame_is_undecided() -> None:
    assert (VideoPca().run(shifting(1, 0, 0, height=33, width=48)) == 255).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"components": 0}, "components of video_pca must be at least 1, got 0"),
        ({"blur": 0}, "blur of video_pca must be above"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VideoPca(**settings)
