from __future__ import annotations

import torch

from selftaught.core.randomness import generator
from selftaught.features.pool_stage import pool_stage


def test_pooled_sizes_are_the_fields() -> None:
    """The table of section 5.2: 96 x 10 x 10, 256 x 6 x 6, 384 x 5 x 5, 64 x 12 x 12."""
    for channels, side in ((96, 10), (256, 6), (384, 5), (64, 12)):
        assert pool_stage(torch.rand(2, channels, 27, 27), 9000).shape == (2, channels * side * side)


def test_small_maps_are_kept_whole_and_deep_ones_pooled_to_a_point() -> None:
    x = torch.rand(2, 8, 4, 4, generator=generator(0))
    assert torch.equal(pool_stage(x, 9000), x.flatten(1))
    wide = torch.rand(2, 300, 4, 4, generator=generator(0))
    assert torch.allclose(pool_stage(wide, 100), wide.mean((2, 3)), atol=1e-6)


def test_clips_and_sequences() -> None:
    assert pool_stage(torch.rand(2, 64, 8, 20, 20), 9000).shape == (2, 64 * 2 * 8 * 8)
    sequence = torch.rand(2, 64, 8, generator=generator(0))
    assert torch.equal(pool_stage(sequence, 9000), sequence.flatten(1))
    halves = torch.stack([sequence[..., :4].mean(2), sequence[..., 4:].mean(2)], 2)
    assert torch.allclose(pool_stage(sequence, 128), halves.flatten(1), atol=1e-6)
    assert torch.allclose(pool_stage(sequence, 10), sequence.mean(2), atol=1e-6)
