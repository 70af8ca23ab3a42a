"""Coarse optical flow (Lucas, Kanade 1981) on small grey frames: enough to measure where and how much moves."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from selftaught.ops.crop import crop_resize


def lucas_kanade(first: Tensor, second: Tensor, *, levels: int = 3, window: int = 5, damping: float = 1e-4) -> Tensor:
    """Flow from `first` to `second`, both (N, 1, H, W) in [0, 1] -> (N, 2, H, W) pixels, (x, y) = (right, down).

    In every window the flow is the least-squares solution of I_x u + I_y v + I_t = 0, from coarse to fine with the
    second frame warped by what is known. `damping`, the brightness variance that counts as noise, pulls flow to 0
    where there is no texture. Displacements of up to about 2 ** (levels - 1) pixels are followed.
    """
    pyramid = _pyramid(first, second, levels=levels, least=2 * window)
    flow = torch.zeros_like(pyramid[-1][0]).expand(-1, 2, -1, -1)
    for a, b in reversed(pyramid):
        flow = _at_side_of(a, flow)
        flow = flow + _step(a, warp(b, flow), window, damping)
    return flow


def smooth_flow(first: Tensor, second: Tensor) -> Tensor:
    """Denser and more exact flow than `lucas_kanade`, at four times its cost; same arguments and result.

    The windows are larger, each level but the finest is solved three times, and each solution is averaged over 5 x 5
    pixels before the next, so displacements of up to a third of the side are followed. Errors are measured in
    docs/decisions/0009-flow-inside-the-encoder.md.
    """
    pyramid = _pyramid(first, second, levels=6, least=11)
    flow = torch.zeros_like(pyramid[-1][0]).expand(-1, 2, -1, -1)
    for a, b in reversed(pyramid):
        flow = _at_side_of(a, flow)
        for _ in range(1 if a is first else 3):
            flow = _window_means(flow + _step(a, warp(b, flow), 9, 1e-3), 5)
    return flow


def warp(images: Tensor, flow: Tensor) -> Tensor:
    """Images (N, C, H, W) read at x + flow(x), bilinear; flow (N, 2, H, W) in pixels. Edges repeat."""
    h, w = images.shape[-2:]
    y = torch.arange(h, device=images.device, dtype=flow.dtype)[None, :, None] + flow[:, 1]
    x = torch.arange(w, device=images.device, dtype=flow.dtype)[None, None, :] + flow[:, 0]
    grid = torch.stack([(2 * x + 1) / w - 1, (2 * y + 1) / h - 1], 3)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def motion_magnitude(video: Tensor, *, side: int = 16) -> Tensor:
    """Amount of motion from each frame to the next: (N, T, 3, H, W) uint8 -> (N, T - 1) float32.

    Mean length of the flow over the frame, in shares of its short side, from frames shrunk to about `side` pixels.
    """
    n, t, _, h, w = video.shape
    # Green alone is most of the luma, and a third of the pixels to read.
    green = video[:, :, 1].flatten(0, 1)[:, None].float() / 255
    small = F.avg_pool2d(green, max(1, min(h, w) // side))
    grey = small.view(n, t, 1, *small.shape[-2:])
    flow = lucas_kanade(grey[:, :-1].flatten(0, 1), grey[:, 1:].flatten(0, 1), damping=1e-3)
    length: Tensor = flow.square().sum(1).sqrt().mean((1, 2)) / min(grey.shape[-2:])
    return length.view(n, t - 1)


def _pyramid(first: Tensor, second: Tensor, *, levels: int, least: int) -> list[tuple[Tensor, Tensor]]:
    """Both at full size and halved again and again, while they have at least `least` pixels a side."""
    pyramid = [(first, second)]
    while len(pyramid) < levels and min(pyramid[-1][0].shape[-2:]) >= least:
        pyramid.append((F.avg_pool2d(pyramid[-1][0], 2), F.avg_pool2d(pyramid[-1][1], 2)))
    return pyramid


def _at_side_of(image: Tensor, flow: Tensor) -> Tensor:
    """Flow of the level below at this one."""
    if flow.shape[-2:] == image.shape[-2:]:
        return flow
    return 2 * F.interpolate(flow, size=image.shape[-2:], mode="bilinear", align_corners=False)


def _window_means(x: Tensor, window: int) -> Tensor:
    """Means over `window` x `window` pixels; edges repeat."""
    pad = window // 2
    padded = F.pad(x, (pad, pad, pad, pad), mode="replicate")
    return F.avg_pool2d(F.avg_pool2d(padded, (window, 1), stride=1), (1, window), stride=1)


def _step(first: Tensor, second: Tensor, window: int, damping: float) -> Tensor:
    """One least-squares solution in each window: (N, 1, H, W) pair -> (N, 2, H, W)."""
    mean = (first + second) / 2
    edged = F.pad(mean, (1, 1, 1, 1), mode="replicate")
    dx = (edged[:, :, 1:-1, 2:] - edged[:, :, 1:-1, :-2]) / 2
    dy = (edged[:, :, 2:, 1:-1] - edged[:, :, :-2, 1:-1]) / 2
    dt = second - first
    products = torch.cat([dx * dx, dx * dy, dy * dy, dx * dt, dy * dt], 1)
    xx, xy, yy, xt, yt = _window_means(products, window).unbind(1)
    xx, yy = xx + damping, yy + damping
    determinant = xx * yy - xy * xy
    u = (xy * yt - yy * xt) / determinant
    v = (xy * xt - xx * yt) / determinant
    return torch.stack([u, v], 1).clamp(-2, 2)


def crop_flow(flow: Tensor, boxes: Tensor, size: int, *, frame: tuple[int, int], side: int = 0) -> Tensor:
    """Cut boxes out of flow, whose vectors are then in pixels of a crop of `size` pixels, mirrored where the box is.

    Args:
        flow: (N, K, 2, h, w) in pixels of the frame, perhaps at a lower resolution than it.
        boxes: (N, 4) in pixels of the frame, as `crop_resize` takes them.
        size: side of the crop in pixels.
        frame: height and width of the frame.
        side: of the result; `size` by default.

    Returns:
        (N, K, 2, side, side) float32.
    """
    shrink = boxes.new_tensor([flow.shape[-2] / frame[0], flow.shape[-1] / frame[1]] * 2)
    cut = crop_resize(flow.float().flatten(1, 2), boxes * shrink, side or size).unflatten(1, flow.shape[1:3])
    scaled: Tensor = cut * (size / boxes[:, None, [3, 2], None, None])
    return scaled


def correlation(first: Tensor, second: Tensor, reach: int) -> Tensor:
    """Products of features of a place with those around it: both (N, C, h, w) -> (N, (2 reach + 1)^2, h, w).

    Channel (dy + reach) (2 reach + 1) + dx + reach compares with the place dx to the right and dy below.
    """
    h, w = first.shape[-2:]
    padded = F.pad(second, (reach,) * 4)
    steps = range(2 * reach + 1)
    return torch.stack([(first * padded[..., y : y + h, x : x + w]).sum(1) for y in steps for x in steps], 1)
