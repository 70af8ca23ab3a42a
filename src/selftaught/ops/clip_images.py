"""One image of a whole clip: stacked optical flow, differences of frames, their sum, and the dynamic image.

Clips are normalised, (N, C, T, H, W) with T >= 1; a clip of one frame stands still.
"""

from __future__ import annotations

import torch
from torch import Tensor

from selftaught.ops.colour import denormalise, to_grey
from selftaught.ops.flow import smooth_flow

FLOW_BOUND = 20 / 224
"""Displacement at which fields are cut, in shares of the frame's side."""
FLOW_UNIT = 127.5 / (0.226 * 255)
"""Value of a displacement of `FLOW_BOUND`: it is as far from 0 as black or white are in a normalised image."""


@torch.no_grad()
def flow_stack(clips: Tensor, fields: int) -> Tensor:
    """Optical flow stacking (Simonyan & Zisserman 2014, equation 1): (N, 3, T, H, W) -> (N, 2 fields, H, W).

    Flow from each frame to the next, of the frames in grey, is cut at 20 pixels of a side of 224, and the mean of each
    field is taken off, which leaves little of the camera's motion. Channels are x and y of the first field, then of
    the second, and so on. Where the clip does not have fields + 1 frames, the nearest fields in time are taken, evenly
    over the clip. Without gradient.
    """
    n, _, t, h, w = clips.shape
    if t == 1:
        return clips.new_zeros(n, 2 * fields, h, w)
    first, taken = torch.arange(t - 1, device=clips.device), _moments(t - 1, fields, clips.device)
    if t - 1 > fields:  # not all fields are needed
        first, taken = taken, torch.arange(fields, device=clips.device)
    grey = to_grey(denormalise(clips.transpose(1, 2).flatten(0, 1).float())).unflatten(0, (n, t))
    flow = smooth_flow(grey[:, first].flatten(0, 1), grey[:, first + 1].flatten(0, 1))
    scaled = (flow / flow.new_tensor([w, h]).view(1, 2, 1, 1) / FLOW_BOUND).clamp(-1, 1)
    scaled = FLOW_UNIT * (scaled - scaled.mean((2, 3), keepdim=True))
    stacked: Tensor = scaled.unflatten(0, (n, -1))[:, taken].flatten(1, 2)
    return stacked.contiguous(memory_format=torch.channels_last)


def difference_stack(clips: Tensor, count: int) -> Tensor:
    """Each frame minus the one before it, stacked (Fernando et al. 2017): (N, C, T, H, W) -> (N, count C, H, W).

    Where the clip does not have count + 1 frames, the nearest differences in time are taken, evenly over the clip.
    """
    n, c, t, h, w = clips.shape
    if t == 1:
        return clips.new_zeros(n, count * c, h, w)
    differences = (clips[:, :, 1:] - clips[:, :, :-1])[:, :, _moments(t - 1, count, clips.device)]
    return differences.transpose(1, 2).flatten(1, 2).contiguous(memory_format=torch.channels_last)


def sum_of_differences(clips: Tensor) -> Tensor:
    """The sum over all pairs of frames of the later minus the earlier one: (N, C, T, H, W) -> (N, C, H, W).

    (Fernando et al. 2017.) Frame t of T weighs 2 t - T - 1. The weights are scaled as those of `dynamic_image`.
    """
    t = clips.shape[2]
    return _weighted(clips, 2 * torch.arange(1, t + 1, device=clips.device, dtype=torch.float32) - t - 1)


def dynamic_image(clips: Tensor) -> Tensor:
    """Approximate rank pooling over time (Bilen et al. 2016, section 3.2): (N, C, T, H, W) -> (N, C, H, W).

    Frame t of T weighs 2 (T - t + 1) - (T + 1) (H_T - H_{t - 1}) with H_t = 1 + 1/2 + ... + 1/t. The weights sum to 0;
    they are scaled so that the positive ones sum to 1, and the result is the difference of two averages of frames.
    """
    t = clips.shape[2]
    index = torch.arange(1, t + 1, device=clips.device, dtype=torch.float32)
    harmonic = (1 / index).cumsum(0)
    before = harmonic - 1 / index
    weights = 2 * (t - index + 1) - (t + 1) * (harmonic[-1] - before)
    return _weighted(clips, weights)


def _weighted(clips: Tensor, weights: Tensor) -> Tensor:
    """The sum of frames with weights (T,), scaled so that the positive ones sum to 1: (N, C, H, W), channels last."""
    scaled = (weights / weights.clamp(min=0).sum().clamp(min=1e-6)).to(clips.dtype)
    return (clips * scaled[:, None, None]).sum(2).contiguous(memory_format=torch.channels_last)


def _moments(total: int, wanted: int, device: torch.device) -> Tensor:
    """`wanted` indices below `total`, evenly from the first to the last: all of them once where both are equal."""
    if wanted == 1:
        return torch.full((1,), (total - 1) // 2, device=device)
    steps = torch.arange(wanted, device=device) * (total - 1)
    return (2 * steps + wanted - 1) // (2 * (wanted - 1))
