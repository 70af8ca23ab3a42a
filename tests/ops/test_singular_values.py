from __future__ import annotations

import pytest
import torch

from selftaught.core.randomness import generator
from selftaught.ops.singular_values import clip_singular_values


@pytest.mark.parametrize("shape", [(5, 40), (40, 5), (3, 6, 6), (1, 9), (7, 1)])
@pytest.mark.parametrize("most", [1.0, 0.3])
def test_values_are_those_of_the_decomposition_with_large_ones_cut(shape: tuple[int, ...], most: float) -> None:
    given = torch.randn(shape, generator=generator(*shape))
    found = clip_singular_values(given, most)
    u, s, v = torch.linalg.svd(given.double(), full_matrices=False)
    expected = u @ torch.diag_embed(s.clamp(max=most)) @ v
    assert found.dtype == torch.float32
    assert torch.allclose(found.double(), expected, atol=1e-6)
    assert float(torch.linalg.svdvals(found.double()).max()) == pytest.approx(most, abs=1e-6)


def test_small_matrices_stay_and_zeros_are_no_trouble() -> None:
    small = 0.1 * torch.eye(4, 6)
    assert torch.allclose(clip_singular_values(small), small, atol=1e-8)
    assert torch.equal(clip_singular_values(torch.zeros(3, 5)), torch.zeros(3, 5))
    ranked = torch.outer(torch.arange(4.0), torch.ones(6))
    assert float(torch.linalg.svdvals(clip_singular_values(ranked)).max()) == pytest.approx(1, abs=1e-6)
