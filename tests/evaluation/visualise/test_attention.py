from __future__ import annotations

import pytest
import torch

from selftaught.core.randomness import generator
from selftaught.evaluation.visualise.attention import attention, overlay


@pytest.mark.parametrize("power", [1.0, 2.0, 4.0])
def test_attention_equals_loops(power: float) -> None:
    features = torch.randn(2, 5, 3, 4, generator=generator("attention"))
    found = attention(features, power)
    for n in range(2):
        for row in range(3):
            for column in range(4):
                expected = sum(abs(a) ** power for a in features[n, :, row, column].tolist())
                assert found[n, row, column].item() == pytest.approx(expected, rel=1e-5)


def test_the_strongest_position_is_the_brightest() -> None:
    maps = torch.zeros(1, 4, 4)
    maps[0, 1, 2] = 9.0
    drawn = overlay(torch.full((1, 3, 32, 32), 0.5), maps)
    light = drawn[0].sum(0)
    row, column = divmod(int(light.argmax()), 32)
    assert (row // 8, column // 8) == (1, 2)
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    flat = overlay(torch.full((1, 3, 32, 32), 0.5), torch.ones(1, 4, 4))
    assert torch.allclose(flat, flat[:, :, :1, :1].expand_as(flat))
