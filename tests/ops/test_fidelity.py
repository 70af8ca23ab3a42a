from __future__ import annotations

import math

import pytest
import torch

from selftaught.core.randomness import generator
from selftaught.ops.fidelity import psnr, ssim


def pair(n: int = 2, side: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    first = torch.rand(n, 3, side, side, generator=generator("first"))
    noise = torch.randn(n, 3, side, side, generator=generator("noise"))
    strength = torch.linspace(0.05, 0.2, n)[:, None, None, None]
    return first, (first + strength * noise).clamp(0, 1)


def test_psnr_of_each_image_as_a_loop() -> None:
    first, second = pair()
    for n in range(2):
        errors = [(x - y) ** 2 for x, y in zip(first[n].flatten().tolist(), second[n].flatten().tolist(), strict=True)]
        expected = 10 * math.log10(1 / (sum(errors) / len(errors)))
        assert float(psnr(first, second)[n]) == pytest.approx(expected, abs=1e-3)


def test_psnr_counts_masked_pixels_alone() -> None:
    first, second = pair()
    mask = torch.zeros(2, 1, 16, 16)
    mask[:, :, 2:9, 3:5] = 1
    expected = psnr(first[:, :, 2:9, 3:5], second[:, :, 2:9, 3:5])
    assert torch.allclose(psnr(first, second, mask), expected, atol=1e-4)


def test_equal_images() -> None:
    first, _ = pair()
    assert torch.allclose(psnr(first, first), torch.full((2,), 100.0))
    assert torch.allclose(ssim(first, first), torch.ones(2))


def test_ssim_of_one_window_as_a_loop() -> None:
    """An image of exactly one window: the paper's equation 13 with Gaussian weights."""
    first, second = pair(1, 11)
    first, second = first[:, :1], second[:, :1]
    gauss = [math.exp(-((i - 5) ** 2) / (2 * 1.5**2)) for i in range(11)]
    w = [[p * q / sum(gauss) ** 2 for q in gauss] for p in gauss]
    x, y = first[0, 0].tolist(), second[0, 0].tolist()
    cells = [(i, j) for i in range(11) for j in range(11)]
    mx, my = (sum(w[i][j] * z[i][j] for i, j in cells) for z in (x, y))
    vx, vy = (sum(w[i][j] * (z[i][j] - m) ** 2 for i, j in cells) for z, m in ((x, mx), (y, my)))
    vxy = sum(w[i][j] * (x[i][j] - mx) * (y[i][j] - my) for i, j in cells)
    c1, c2 = 0.01**2, 0.03**2
    expected = (2 * mx * my + c1) * (2 * vxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    assert float(ssim(first, second)) == pytest.approx(expected, abs=1e-4)


def test_ssim_falls_with_noise_and_takes_small_images() -> None:
    first, second = pair(2, 8)
    found = ssim(first, second)
    assert 1 > float(found[0]) > float(found[1]) > 0


def test_equal_the_platforms() -> None:
    metrics = pytest.importorskip("torchmetrics.functional.image")
    first, second = pair(2, 24)
    expected = metrics.peak_signal_noise_ratio(first, second, data_range=1.0, reduction="none", dim=(1, 2, 3))
    assert torch.allclose(psnr(first, second), expected, atol=1e-3)
    _, everywhere = metrics.structural_similarity_index_measure(
        first, second, data_range=1.0, reduction="none", return_full_image=True
    )
    inside = everywhere[:, :, 5:-5, 5:-5].mean((1, 2, 3))  # theirs goes on over the border, with mirrored pixels
    assert torch.allclose(ssim(first, second), inside, atol=1e-4)
