"""Fidelity of predicted frames at each step, against copying."""

from __future__ import annotations

import math

import pytest
import torch

from selftaught.ops.fidelity import ssim
from selftaught.tasks.parts.clips.horizon import BEST_PSNR, horizon_scalars, psnr_over_horizon


def test_each_step_as_loops() -> None:
    rng = torch.Generator().manual_seed(0)
    last = torch.rand(2, 3, 12, 12, generator=rng)
    future, predicted = torch.rand(2, 2, 3, 12, 12, generator=rng), torch.rand(2, 2, 3, 12, 12, generator=rng)
    reached, copied = psnr_over_horizon(last, future, predicted)
    found = horizon_scalars(last, future, predicted)
    assert sorted(found) == sorted(f"{p}{m}_{k}" for p in ("", "copy_") for m in ("psnr", "ssim") for k in (1, 2))
    for k in range(2):
        for frames, per_clip, prefix in ((predicted[:, k], reached[:, k], ""), (last, copied[:, k], "copy_")):
            values = [
                -10 * math.log10(sum((a - b) ** 2 for a, b in zip(x.tolist(), y.tolist(), strict=True)) / 432)
                for x, y in zip(frames.flatten(1), future[:, k].flatten(1), strict=True)
            ]
            assert per_clip.tolist() == pytest.approx(values, rel=1e-4)
            assert float(found[f"{prefix}psnr_{k + 1}"]) == pytest.approx(sum(values) / 2, rel=1e-4)
            assert float(found[f"{prefix}ssim_{k + 1}"]) == pytest.approx(float(ssim(frames, future[:, k]).mean()))


def test_a_clip_that_stands_still_counts_as_much_as_the_best() -> None:
    still = torch.full((1, 3, 8, 8), 0.5)
    _, copied = psnr_over_horizon(still, still[:, None], still[:, None])
    assert copied.tolist() == [[BEST_PSNR]]
