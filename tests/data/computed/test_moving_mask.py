"""What moves on its own is found, whatever the camera does, and a camera alone moves nothing."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from selftaught.data.computed.moving_mask import MovingMask
from tests.data.computed.moving import shifting, texture, with_square


@pytest.mark.parametrize(
    ("camera", "own"), [((0, 0), (3, 0)), ((2, 1), (-2, -1)), ((3, -1), (3, 2))], ids=["still", "against", "across"]
)
def test_a_square_that_moves_over_a_moving_ground_is_found(camera: tuple[int, int], own: tuple[int, int]) -> None:
    frames, truth = with_square(shifting(3, *camera), *own)
    masks = MovingMask().run(frames)
    assert masks.shape == (2, 48, 60, 1)
    assert masks.dtype == np.uint8
    found = masks[:, :, :, 0].repeat(2, 1).repeat(2, 2) > 0
    overlap = (found & truth[:2]).sum() / (found | truth[:2]).sum()
    assert overlap > 0.75  # at the border, ground that is covered and uncovered moves as the square does


def test_a_camera_that_zooms_and_turns_moves_nothing() -> None:
    ground = texture(160, 180)
    frames = []
    for t in range(2):
        matrix = cv2.getRotationMatrix2D((90, 80), 2.0 * t, 1 + 0.03 * t) - np.array([[0, 0, 30], [0, 0, 32]])
        frames.append(cv2.warpAffine(ground, matrix, (120, 96), flags=cv2.INTER_CUBIC))
    assert MovingMask().run(np.clip(np.stack(frames), 0, 255).astype(np.uint8)).mean() < 0.01


def test_noise_of_the_flow_is_no_motion() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (3, 96, 120, 3))
    still = shifting(1, 0, 0) + noise * 20
    assert MovingMask().run(np.clip(still, 0, 255).astype(np.uint8)).mean() < 0.01


def test_the_threshold_must_be_positive() -> None:
    with pytest.raises(ValueError, match="more than 0 pixels, got 0"):
        MovingMask(threshold=0)


def test_a_camera_that_is_neither_homography_nor_affine_is_refused() -> None:
    with pytest.raises(ValueError, match="camera of moving_mask must be one of homography, affine, got 'none'"):
        MovingMask(camera="none")  # type: ignore[arg-type]


@pytest.mark.parametrize(("sequence", "least"), [("cows", 0.5), ("dog", 0.4), ("car-shadow", 0.4), ("blackswan", 0.4)])
def test_what_moves_in_a_real_video_is_found(shared_data: Callable[[str], Path], sequence: str, least: float) -> None:
    """IoU with the masks that people drew, camera and all."""
    frames, truth = [], []
    with zipfile.ZipFile(shared_data("davis240") / "davis240.zip") as archive:
        for i in range(4):
            frame = Image.open(io.BytesIO(archive.read(f"frames/{sequence}/{i:05}.jpg"))).resize((284, 160))
            mask = Image.open(io.BytesIO(archive.read(f"masks/{sequence}/{i:05}.png"))).convert("L")
            frames.append(np.asarray(frame.convert("RGB")))
            truth.append(np.asarray(mask.resize((142, 80))) > 127)
    found = MovingMask().run(np.stack(frames))[..., 0] > 0
    overlap = [(a & b).sum() / (a | b).sum() for a, b in zip(found, truth, strict=False)]
    assert np.mean(overlap) > least
