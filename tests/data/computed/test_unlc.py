"""uNLC finds what moves on its own, over cuts and bars, from the frames alone."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from selftaught.data.computed.regions.superpixels import superpixels
from selftaught.data.computed.unlc import Unlc, first_votes
from tests.data.computed.moving import shifting, with_square

SMALL = Unlc(superpixels=120)


def overlap(masks: np.ndarray, truth: np.ndarray) -> float:
    """IoU at the size of the frames, over what is decided."""
    found = masks[:, :, :, 0].repeat(2, 1).repeat(2, 2)[:, : truth.shape[1], : truth.shape[2]]
    known = found != 255
    return float(((found == 1) & truth).sum() / ((((found == 1) | truth) & known).sum()))


@pytest.mark.parametrize(
    "settings", [{}, {"crf": True}, {"first": "dominant", "low": 0.2}], ids=["votes", "field", "dominant"]
)
def test_a_square_that_moves_over_a_moving_ground_is_found(settings: dict[str, Any]) -> None:
    frames, truth = with_square(shifting(5, 2, 1, height=80, width=110), 1, -1, side=30)
    frames[truth] = frames[truth] // 2 + np.array([120, 0, 0], np.uint8)
    masks = Unlc(superpixels=120, **settings).run(frames)
    assert masks.shape == (5, 40, 55, 1)
    assert masks.dtype == np.uint8
    assert set(np.unique(masks)) <= {0, 1, 255}
    assert overlap(masks, truth) > 0.7
    assert (masks == 255).mean() < 0.2


def test_votes_of_edges_are_none_and_the_largest_is_one() -> None:
    frames, _ = with_square(shifting(3, 1, 0, height=40, width=60), 2, 1, side=14, top=12, left=20)
    labels = [superpixels(frame, 60) for frame in frames]
    votes = np.split(first_votes(frames, labels, "homography"), np.cumsum([one.max() + 1 for one in labels])[:-1])
    for own, label in zip(votes, labels, strict=True):
        assert 0.5 < own.max() <= 1
        edge = np.ones(label.shape, bool)
        edge[5:-5, 5:-5] = False  # an eighth of the short side
        assert all(own[k] == 0 for k in set(label[edge].tolist()) - set(label[~edge].tolist()))


def test_a_shot_of_one_frame_is_undecided() -> None:
    assert (SMALL.run(shifting(1, 0, 0, height=33, width=48)) == 255).all()


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (16, 9)])
def test_the_smallest_frames_have_masks(size: tuple[int, int]) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (3, *size, 3)).astype(np.uint8)
    assert SMALL.run(frames).shape == (3, -(-size[0] // 2), -(-size[1] // 2), 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"superpixels": 0}, "the superpixels of unlc must be at least 1, got 0"),
        ({"variance": 0}, "the variance of unlc must be above 0, got 0"),
        ({"low": 0.8}, "0 <= low <= high <= 1, got low 0.8 and high 0.6"),
        ({"first": "edges"}, "the first of unlc must be homography or dominant, got 'edges'"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Unlc(**settings)


def test_what_moves_in_a_real_video_is_found(shared_data: Callable[[str], Path]) -> None:
    """IoU with the masks that people drew, of frames half as large as those of the benchmark."""
    frames, truth = [], []
    with zipfile.ZipFile(shared_data("davis240") / "davis240.zip") as archive:
        for i in range(0, 8):
            frame = Image.open(io.BytesIO(archive.read(f"frames/cows/{i:05}.jpg"))).resize((142, 80))
            mask = Image.open(io.BytesIO(archive.read(f"masks/cows/{i:05}.png"))).convert("L").resize((142, 80))
            frames.append(np.asarray(frame.convert("RGB")))
            truth.append(np.asarray(mask) > 127)
    assert overlap(Unlc(superpixels=200).run(np.stack(frames)), np.stack(truth)) > 0.5
