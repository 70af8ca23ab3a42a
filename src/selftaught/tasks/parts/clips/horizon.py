"""How good predicted frames are, step by step, and against copying the last frame."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from selftaught.ops.fidelity import psnr, ssim

BEST_PSNR = 50.0
"""dB above which no difference is visible; without a limit, one clip that stands still would outweigh all others."""


@torch.no_grad()
def psnr_over_horizon(last: Tensor, future: Tensor, predicted: Tensor) -> tuple[Tensor, Tensor]:
    """PSNR in dB (N, K) of predicted frames, and of the last frame (N, 3, H, W) in their place; at most `BEST_PSNR`.

    Frames (N, K, 3, H, W) in [0, 1].
    """
    return _over(psnr, future, predicted, BEST_PSNR), _over(psnr, future, _copied(last, future), BEST_PSNR)


@torch.no_grad()
def horizon_scalars(last: Tensor, future: Tensor, predicted: Tensor) -> dict[str, Tensor]:
    """psnr_1 ... psnr_K and ssim_1 ... ssim_K, and the same of copying the last frame with copy_ before; means."""
    copied = _copied(last, future)
    scalars: dict[str, Tensor] = {}
    for prefix, frames in (("", predicted), ("copy_", copied)):
        for name, values in (("psnr", _over(psnr, future, frames, BEST_PSNR)), ("ssim", _over(ssim, future, frames))):
            scalars |= {f"{prefix}{name}_{k}": mean for k, mean in enumerate(values.mean(0), start=1)}
    return scalars


def _copied(last: Tensor, future: Tensor) -> Tensor:
    return last[:, None].expand_as(future)


def _over(measure: Callable[[Tensor, Tensor], Tensor], future: Tensor, frames: Tensor, most: float = 1.0) -> Tensor:
    """Of each frame, (N, K)."""
    flat = measure(frames.flatten(0, 1), future.flatten(0, 1)).clamp(max=most)
    found: Tensor = flat.unflatten(0, future.shape[:2])
    return found
