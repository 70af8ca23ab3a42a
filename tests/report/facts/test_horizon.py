"""Metrics of a horizon are found by their columns."""

from __future__ import annotations

import math

import pytest

from selftaught.report.facts.horizon import horizons


def test_a_horizon_is_as_long_as_it_has_both_columns() -> None:
    heldout = {
        "step": (4.0, 8.0), "psnr_1": (20.0, 21.0), "copy_psnr_1": (19.0, 19.5), "psnr_2": (18.0, math.nan),
        "copy_psnr_2": (17.0, 17.5), "psnr_3": (1.0, 1.0), "part_1": (1.0, 1.0), "copy_ssim_1": (0.5, 0.5),
    }  # fmt: skip
    (found,) = horizons(heldout)
    assert found.metric == "psnr"
    assert found.predicted == (21.0, 18.0)
    assert found.copied == (19.5, 17.5)
    assert found.columns == {"psnr_1", "psnr_2", "copy_psnr_1", "copy_psnr_2"}


@pytest.mark.parametrize("heldout", [{}, {"psnr_1": (1.0,)}, {"copy_psnr_2": (1.0,), "psnr_2": (1.0,)}])
def test_other_columns_are_none(heldout: dict[str, tuple[float, ...]]) -> None:
    assert horizons(heldout) == []


def test_a_column_without_a_number_is_nan() -> None:
    (found,) = horizons({"ssim_1": (math.nan,), "copy_ssim_1": (0.5,)})
    assert math.isnan(found.predicted[0])
    assert found.copied == (0.5,)
