"""Contours: what is learned from, the loss by loops, learning, the metric by the benchmark, determinism."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from selftaught.data.annotations.base import NO_BOXES, with_boxes
from selftaught.data.annotations.dense_sample import IGNORE, DenseSample
from selftaught.encoders.base import Encoder
from selftaught.encoders.build import build_encoder
from selftaught.evaluation.data.dense import Dense
from selftaught.evaluation.metrics.contour_match import count_matches, score_contours, thresholds_of
from selftaught.evaluation.probes.base import Score
from selftaught.evaluation.probes.contour import Contour, agreed, balanced_loss
from selftaught.features.reader import Reader

CPU = torch.device("cpu")
SIDE = 48


class Squares:
    """Bright squares on dark noise, whose border two people drew, and a third one only half of it."""

    classes: tuple[str, ...] = ("background", "contour")

    def __init__(self, count: int, seed: int) -> None:
        self.skipped: list[tuple[str, str]] = []
        self.keys: Sequence[str] = [f"{seed}-{n}" for n in range(count)]
        self.fingerprint = f"{count} {seed}"

    def __len__(self) -> int:
        return len(self.keys)

    def read(self, i: int) -> DenseSample:
        rng = np.random.default_rng([len(self), i])
        top, left = rng.integers(6, 14, 2)
        inside = torch.zeros(SIDE, SIDE, dtype=torch.bool)
        inside[top : top + 24, left : left + 24] = True
        image = torch.from_numpy(rng.integers(0, 60, (3, SIDE, SIDE), dtype=np.uint8))
        image[:, inside] += 180
        border = inside.clone()
        border[top + 1 : top + 23, left + 1 : left + 23] = False
        half = border.clone()
        half[: top + 12] = False
        sample = with_boxes(image, NO_BOXES)
        drawn = torch.stack([border, border, half])
        return DenseSample(image=image, boxes=sample.boxes, labels=sample.labels, ignore=sample.ignore, contours=drawn)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    torch.manual_seed(0)
    return build_encoder("resnet18", size=32, stem="standard")


def scored(encoder: Encoder, **settings: Any) -> Score:
    config = Contour.Config(**{"size": SIDE, "steps": 2, "batch_size": 2, "thresholds": 5, **settings})
    reader = Reader(encoder=encoder, size=32, device=CPU, precision="32-true", is_random=True)
    data = Dense(train=Squares(6, 0), test=Squares(3, 1), classes=Squares.classes, test_is="drawn")
    return Contour(config, seed=0).score(reader, data)


def test_contours_that_half_of_the_people_drew_are_learned_and_others_left_out() -> None:
    drawn = torch.zeros(3, 1, 12, dtype=torch.bool)
    drawn[:2, 0, 1] = drawn[2, 0, 8] = True
    assert agreed(drawn)[0].tolist() == [1, 1, 1, 0, 0, 0, 0, IGNORE, IGNORE, IGNORE, 0, 0]


def test_the_loss_is_that_of_loops_and_leaves_out_ignored_pixels() -> None:
    logits = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    masks = torch.zeros(2, 3, 4, dtype=torch.long)
    masks[0, 0, :2], masks[1] = 1, IGNORE
    lost: dict[int, list[float]] = {0: [], 1: []}
    for place in np.ndindex(2, 3, 4):
        if (kind := int(masks[place])) in lost:
            lost[kind].append(math.log1p(math.exp((1 - 2 * kind) * float(logits[place]))))
    expected = sum(sum(values) / len(values) for values in lost.values()) / 2
    assert float(balanced_loss(logits, masks)) == pytest.approx(expected, rel=1e-5)


def test_it_learns_beyond_noise_and_gives_the_same_again_and_leaves_the_encoder_alone(encoder: Encoder) -> None:
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    score = scored(encoder, steps=25)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    noise = np.stack([_counts_of_noise(n) for n in range(3)])
    assert score.value > 100 * score_contours(noise, thresholds_of(5)).ods + 15
    assert score.stage == "conv1+layer1+layer2+layer3+layer4"
    assert score.interval is not None
    assert score.interval[0] <= score.value <= score.interval[1]
    assert score.more["ois"] > score.value - 1  # without interpolation
    assert len(score.more["precision"]) == 5
    first, again = (scored(encoder) for _ in range(2))
    assert (first.value, first.more) == (again.value, again.more)


def _counts_of_noise(n: int) -> np.ndarray:
    edges = np.random.default_rng(n).random((SIDE, SIDE))
    drawn = Squares(3, 1).read(n).contours
    assert drawn is not None
    return count_matches(edges, drawn.numpy(), thresholds_of(5))
