from __future__ import annotations

import math

import pytest
import torch

from selftaught.core.randomness import generator
from selftaught.ops.colour_spaces import rgb_to_lab
from selftaught.tasks.parts.colour_bins import (
    NUM_BINS,
    bin_centres,
    decode_ab,
    encode_ab,
    rebalancing_weights,
    soft_cross_entropy,
)

COLUMNS = {
    -90: (50, 90),
    -80: (20, 90),
    -70: (0, 90),
    -60: (-20, 90),
    -50: (-30, 100),
    -40: (-40, 100),
    -30: (-50, 100),
    -20: (-50, 100),
    -10: (-60, 100),
    0: (-70, 100),
    10: (-80, 90),
    20: (-80, 90),
    30: (-90, 90),
    40: (-100, 90),
    50: (-100, 80),
    60: (-110, 80),
    70: (-110, 80),
    80: (-110, 70),
    90: (-110, 70),
    100: (-90, 0),
}
"""The bins of the paper's release: for each a, the first and the last b."""


def colours(n: int = 2, side: int = 4) -> torch.Tensor:
    return rgb_to_lab(torch.rand(n, 3, side, side, generator=generator("rgb")))[:, 1:]


def test_bins_are_the_papers_in_its_order() -> None:
    expected = [[a, b] for a, (low, high) in COLUMNS.items() for b in range(low, high + 10, 10)]
    assert len(expected) == NUM_BINS
    assert bin_centres().tolist() == expected


def test_every_colour_is_in_a_square_of_four_bins() -> None:
    known = {tuple(centre) for centre in bin_centres().long().tolist()}
    inside = rgb_to_lab(torch.rand(1, 3, 300, 300, generator=generator("inside")))[0, 1:].flatten(1)
    low = (inside / 10).floor().long() * 10
    corners = {(a + right, b + up) for a, b in set(map(tuple, low.T.tolist())) for right in (0, 10) for up in (0, 10)}
    assert corners <= known


def test_soft_encoding_is_the_papers_within_rounding() -> None:
    ab = colours().round()
    bins, weights = encode_ab(ab)
    assert bins.shape == weights.shape == (2, 5, 4, 4)
    centres = bin_centres().tolist()
    for n, i, j in ((0, 0, 0), (0, 3, 1), (1, 2, 2)):
        a, b = ab[n, :, i, j].tolist()
        distances = sorted((math.dist((a, b), centre), k) for k, centre in enumerate(centres))[:5]
        gauss = [math.exp(-(d**2) / (2 * 5**2)) for d, _ in distances]
        assert bins[n, :, i, j].tolist() == [k for _, k in distances]
        assert weights[n, :, i, j].tolist() == pytest.approx([g / sum(gauss) for g in gauss], rel=1e-4)


def test_nearest_bin_comes_first_and_is_near() -> None:
    ab = colours(4, 16)
    bins, weights = encode_ab(ab)
    nearest = bin_centres()[bins[:, 0]].permute(0, 3, 1, 2)
    assert float((nearest - ab).square().sum(1).sqrt().max()) < 5 * math.sqrt(2) + 1
    assert bool((weights.diff(dim=1) <= 1e-6).all())
    assert torch.equal(encode_ab(ab, neighbours=1)[0][:, 0], bins[:, 0])


def test_cross_entropy_is_that_of_the_full_distribution() -> None:
    logits = torch.randn(2, NUM_BINS, 4, 4, generator=generator("logits"))
    bins, weights = encode_ab(colours())
    full = torch.zeros_like(logits).scatter(1, bins, weights)
    expected = -(full * logits.log_softmax(1)).sum(1)
    torch.testing.assert_close(soft_cross_entropy(logits, bins, weights), expected)


def test_annealed_mean_is_equation_5() -> None:
    logits = torch.randn(1, NUM_BINS, 1, 2, generator=generator("logits")) * 3
    for temperature in (1.0, 0.38):
        found = decode_ab(logits, temperature)
        z = logits[0, :, 0, 1].softmax(0).tolist()
        scaled = [math.exp(math.log(p) / temperature) for p in z]
        a = sum(s * c[0] for s, c in zip(scaled, bin_centres().tolist(), strict=True)) / sum(scaled)
        assert float(found[0, 0, 0, 1]) == pytest.approx(a, abs=0.01)
    mode = bin_centres()[logits[0, :, 0, 0].argmax()]
    assert torch.allclose(decode_ab(logits, 1e-3)[0, :, 0, 0], mode, atol=0.1)


def test_rebalancing_is_equation_4_with_mean_1() -> None:
    share = torch.rand(NUM_BINS, generator=generator("share")) ** 8
    share = share / share.sum()
    weights = rebalancing_weights(share, mix=0.5)
    centres = bin_centres().tolist()
    smooth = [0.0] * NUM_BINS
    for q in range(NUM_BINS):
        near = [math.exp(-(math.dist(centres[q], c) ** 2) / (2 * 5**2)) for c in centres]
        for r in range(NUM_BINS):
            smooth[r] += float(share[q]) * near[r] / sum(near)
    plain = [1 / (0.5 * p + 0.5 / NUM_BINS) for p in smooth]
    mean = sum(p * w for p, w in zip(smooth, plain, strict=True))
    assert weights.tolist() == pytest.approx([w / mean for w in plain], rel=1e-3)
    assert torch.allclose(rebalancing_weights(share, mix=1.0), torch.ones(NUM_BINS))
    assert float(weights[share.argmin()]) > 1 > float(weights[share.argmax()])
