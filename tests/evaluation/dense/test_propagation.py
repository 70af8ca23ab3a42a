"""Attention from frame to frame, against plain loops."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from selftaught.core.randomness import generator
from selftaught.evaluation.dense import propagation
from selftaught.evaluation.dense.propagation import follow, propagate


def test_propagation_equals_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = generator("propagation")
    query = F.normalize(torch.randn(6, 4, 5, generator=rng), dim=0)
    keys = F.normalize(torch.randn(2, 6, 4, 5, generator=rng), dim=1)
    masks = torch.rand(2, 3, 4, 5, generator=rng).softmax(1)
    radius, k, temperature = 1, 3, 0.2
    expected = torch.zeros(3, 4, 5)
    for y in range(4):
        for x in range(5):
            near = []
            for r in range(2):
                for v in range(4):
                    for u in range(5):
                        if abs(v - y) <= radius and abs(u - x) <= radius:
                            near.append((float(query[:, y, x] @ keys[r, :, v, u]), masks[r, :, v, u]))
            best = sorted(near, key=lambda pair: -pair[0])[:k]
            total = sum(math.exp(cosine / temperature) for cosine, _ in best)
            for cosine, mask in best:
                expected[:, y, x] += math.exp(cosine / temperature) / total * mask
    settings = {"radius": radius, "k": k, "temperature": temperature}
    found = propagate(query, keys, masks, **settings)  # type: ignore[arg-type]
    assert torch.allclose(found, expected, atol=1e-6)
    monkeypatch.setattr(propagation, "SIMILARITIES", 100)
    assert torch.allclose(propagate(query, keys, masks, **settings), expected, atol=1e-6)  # type: ignore[arg-type]


def test_masks_follow_features_that_move() -> None:
    """Features that are shifted by one position a frame carry the mask along, past a position that is covered once."""
    canvas = torch.randn(8, 6, 16, generator=generator("canvas"))
    frames = [canvas.roll(t, 2) for t in range(6)]
    mask = torch.zeros(2, 6, 16)
    mask[1, 2:4, 3:6] = 1
    mask[0] = 1 - mask[1]
    found = list(follow(frames, mask, references=2, radius=2, k=1, temperature=0.07))
    assert len(found) == 5
    for t, one in enumerate(found, 1):
        assert torch.equal(one[:, :, 2:-2], mask.roll(t, 2)[:, :, 2:-2])


def test_a_frame_asks_the_first_and_the_last_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[int]] = []

    def spy(query: torch.Tensor, keys: torch.Tensor, masks: torch.Tensor, **_: float) -> torch.Tensor:
        asked.append([int(key.argmax()) for key in keys])
        return masks[0]

    monkeypatch.setattr(propagation, "propagate", spy)
    frames = [torch.eye(6)[t][:, None, None] for t in range(5)]
    assert len(list(follow(frames, torch.ones(1, 1, 1), references=2, radius=1, k=1, temperature=1.0))) == 4
    assert asked == [[0], [0, 1], [0, 1, 2], [0, 2, 3]]
