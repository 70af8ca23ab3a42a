"""Coarse flow: known shifts, real pairs with ground truth, and motion where the motion is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from selftaught.ops.flow import correlation, lucas_kanade, motion_magnitude, smooth_flow, warp


def texture(n: int = 2, side: int = 48, seed: int = 0) -> Tensor:
    """Smooth random images (n, 1, side, side) in [0, 1]."""
    noise = torch.rand(n, 1, side // 4, side // 4, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(noise, size=(side, side), mode="bicubic", align_corners=False).clamp(0, 1)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (1.0, 0.0), (0.0, -1.5), (2.0, 1.0)])
def test_known_shifts_are_found(shift: tuple[float, float]) -> None:
    x, y = shift
    first = texture()
    known = torch.tensor([x, y]).view(1, 2, 1, 1).expand(2, 2, 48, 48)
    # second(p + known) = first(p): content moves by `known`.
    second = warp(first, -known)
    found = lucas_kanade(first, second)[:, :, 6:-6, 6:-6]
    assert torch.allclose(found.mean((0, 2, 3)), torch.tensor([x, y]), atol=0.15)
    assert (found - known[:, :, 6:-6, 6:-6]).abs().mean() < 0.15


def test_warp_undoes_a_whole_shift_exactly() -> None:
    images = texture()
    flow = torch.tensor([3.0, -2.0]).view(1, 2, 1, 1).expand(2, 2, 48, 48)
    assert torch.allclose(warp(images, flow)[:, :, 4:-4, 4:-4], images[:, :, 2:-6, 7:-1], atol=1e-5)


def grey_pair(folder: Path, factor: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Both frames and the true flow at 1 / factor of the size, and where the flow is known."""
    files = sorted(f for f in folder.iterdir() if f.stem in ("frame1", "frame2"))
    first, second = (torch.from_numpy(np.array(Image.open(f).convert("L"))).float()[None, None] / 255 for f in files)
    truth = np.load(folder / "flow.npz")
    known = torch.from_numpy(truth["valid"])[None, None].float()
    flow = torch.from_numpy(truth["flow"]).permute(2, 0, 1)[None] * known
    share = F.avg_pool2d(known, factor)
    flow = F.avg_pool2d(flow, factor) / share.clamp(min=1e-6) / factor
    return F.avg_pool2d(first, factor), F.avg_pool2d(second, factor), flow, share[:, 0] > 0.05


# End-point errors of 0.50 (of 1.26 without any flow) and 2.9 (of 5.4) pixels were measured.
@pytest.mark.parametrize(("name", "factor", "levels", "share"), [("rubberwhale", 1, 3, 0.45), ("kitti", 8, 4, 0.6)])
def test_real_pairs(shared_data: Callable[[str], Path], name: str, factor: int, levels: int, share: float) -> None:
    first, second, truth, known = grey_pair(shared_data("flow_pairs") / name, factor)
    error = (lucas_kanade(first, second, levels=levels) - truth).square().sum(1).sqrt()[known].mean()
    assert error < share * truth.square().sum(1).sqrt()[known].mean()


# Shares of the error of zero flow, 0.70 and 0.52, were measured.
@pytest.mark.parametrize(("name", "factor", "share"), [("rubberwhale", 7, 0.77), ("kitti", 8, 0.6)])
def test_smooth_flow_of_small_real_pairs(
    shared_data: Callable[[str], Path], name: str, factor: int, share: float
) -> None:
    first, second, truth, known = grey_pair(shared_data("flow_pairs") / name, factor)
    error = (smooth_flow(first, second) - truth).square().sum(1).sqrt()[known].mean()
    none = truth.square().sum(1).sqrt()[known].mean()
    assert error < share * none
    assert smooth_flow(first, first).abs().max() < 1e-5


def test_motion_is_found_where_it_is() -> None:
    still = (texture(1, 64) * 255).byte().expand(12, 3, 64, 64).clone()
    for t in range(5, 9):
        still[t, :, 20:40, 10 + 4 * t : 30 + 4 * t] = 255
    motion = motion_magnitude(still[None])
    assert motion.shape == (1, 11)
    moves = torch.tensor([4 <= t <= 8 for t in range(11)])
    assert motion[0, ~moves].max() < 1e-4
    assert motion[0, moves].min() > 20 * motion[0, ~moves].max() + 1e-3


def test_motion_does_not_depend_on_the_size_of_the_frames() -> None:
    small = (texture(1, 32) * 255).byte().expand(2, 3, 32, 32).clone()
    small[1] = small[1].roll(1, dims=2)
    large = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.allclose(motion_magnitude(small[None]), motion_magnitude(large[None]), rtol=1e-3)


def test_correlation_against_loops() -> None:
    first, second = torch.randn(2, 1, 4, 5, 6, generator=torch.Generator().manual_seed(1))
    found = correlation(first, second, 2)
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            for y in range(5):
                for x in range(6):
                    inside = 0 <= y + dy < 5 and 0 <= x + dx < 6
                    product = float(first[0, :, y, x] @ second[0, :, y + dy, x + dx]) if inside else 0.0
                    assert float(found[0, 5 * (dy + 2) + dx + 2, y, x]) == pytest.approx(product, abs=1e-5)
