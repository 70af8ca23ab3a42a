"""Batched crop, resize, mirror and blur as two matrix products, one for each axis.

A crop, an antialiased resize, a mirror image and a Gaussian blur are all linear in the pixels and
separable, so each sample has one matrix for rows and one for columns, and the whole batch is two
`bmm`: no loop over samples, the same code on CPU and GPU. 8-bit pixels are exact in bfloat16, which
the products use where the machine computes it in hardware; rounding between the two passes is then at
most half a grey level, as in 8-bit image libraries.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from selftaught.core.precision import fast_bf16
from selftaught.core.randomness import uniform
from selftaught.ops.colour import normalise

MapKind = Literal["mask", "depth", "flow"]
"""Class numbers, one value for each pixel, or vectors (x, y) = (right, down) in pixels."""


def axis_weights(start: Tensor, length: Tensor, size_in: int, size_out: int, total: float = 1.0) -> Tensor:
    """Weights that resample [start, start + length) of an axis to `size_out` pixels, antialiased bilinear.

    The filter is the triangle of Pillow and `torch.nn.functional.interpolate(antialias=True)`; a
    negative `length` mirrors. Weights outside the axis are cut off and the rest sum to `total`.

    Args:
        start: (N,) first edge in input pixels; length: (N,) in input pixels, negative to mirror.
        size_in: pixels of the axis; size_out: pixels wanted.

    Returns:
        (N, size_out, size_in) float32.
    """
    device = start.device
    scale = (length / size_out)[:, None, None]
    centre = start[:, None, None] + (torch.arange(size_out, device=device)[None, :, None] + 0.5) * scale
    distance = torch.arange(size_in, device=device)[None, None, :] + 0.5 - centre
    weights = distance.abs_().div_(-scale.abs().clamp(min=1.0)).add_(1).clamp_(min=0)
    return weights.div_(weights.sum(2, keepdim=True).clamp_(min=1e-6).div_(total))


def blur_weights(sigma: Tensor, size: int) -> Tensor:
    """Gaussian blur along an axis as matrices (N, size, size); sigma (N,) in pixels, 0 is the identity."""
    squared = torch.arange(1 - size, size, device=sigma.device, dtype=torch.float32).square()
    # Cut at exp(-60): smaller numbers add nothing, and denormal ones are many times slower to compute with.
    kernels = (squared * (-0.5 / sigma.clamp(min=1e-2).square())[:, None]).clamp_(min=-60).exp_()
    weights = kernels.unfold(1, size, 1).flip(1)
    return weights.div_(weights.sum(2, keepdim=True))


def resample(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """One matrix along each axis: images (N, C, H, W), rows (N, S, H), columns (N, R, W) -> (N, C, S, R) float32."""
    n, c, h, w = images.shape
    dtype = torch.bfloat16 if images.dtype == torch.uint8 and fast_bf16(images.device.type) else torch.float32
    # Rows first: pixels are stored channels last, so a row of pixels is one vector, and only what is left after the
    # rows are resampled has to be turned into planes.
    pixels = images.permute(0, 2, 3, 1).to(dtype).reshape(n, h, w * c)
    short = torch.bmm(rows.to(dtype), pixels).view(n, -1, w, c)
    planes = short.permute(0, 3, 1, 2).reshape(n, -1, w)
    out = torch.bmm(planes, columns.to(dtype).transpose(1, 2))
    return out.view(n, c, rows.shape[1], columns.shape[1]).float()


def crop_resize(images: Tensor, boxes: Tensor, size: int, sigma: Tensor | None = None) -> Tensor:
    """Cut a box from every image and resize it to a square.

    Args:
        images: (N, C, H, W) uint8 in [0, 255], or float.
        boxes: (N, 4) float: top, left, height, width in pixels; a negative width mirrors (left is then the right edge).
        size: side of the result in pixels.
        sigma: (N,) blur in output pixels, 0 for none.

    Returns:
        (N, C, size, size) float32, in [0, 1] from uint8 and in the input's range from float.
    """
    h, w = images.shape[-2:]
    top, left, height, width = boxes.unbind(1)
    rows = axis_weights(top, height, h, size, 1 / 255 if images.dtype == torch.uint8 else 1.0)
    columns = axis_weights(left, width, w, size)
    if sigma is not None:
        rows, columns = _blurred((rows, columns), sigma, size)
    return resample(images, rows, columns)


def _blurred(weights: Sequence[Tensor], sigma: Tensor, size: int) -> list[Tensor]:
    """Weights (N, size, any) followed by a blur of `size` pixels; what is not blurred costs nothing on a CPU."""
    if sigma.device.type != "cpu":  # would wait for the device to count them
        blur = blur_weights(sigma, size)
        return [_product(blur, one) for one in weights]
    chosen = sigma.nonzero()[:, 0]
    blur = blur_weights(sigma[chosen], size)
    return [one.to(_fast(one)).index_copy(0, chosen, _product(blur, one[chosen])) for one in weights]


def crop_resize_with_maps(
    images: Tensor,
    maps: Mapping[str, Tensor],
    boxes: Tensor,
    size: int,
    *,
    modes: Mapping[str, MapKind],
    sizes: Tensor | None = None,
    fill: Mapping[str, float] | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Cut one box out of every image and out of the maps that belong to it, and resize all of them to a square.

    A map covers the same area as its image and may have another resolution.

    Args:
        images: (N, C, H, W) as `crop_resize` takes them.
        maps: by name: masks (N, h, w) of any type, depth (N, h, w) float, flow (N, 2, h, w) float, (x, y) in pixels of
            the image.
        boxes: (N, 4) as `crop_resize` takes them, perhaps beyond the image.
        size: side of the result in pixels.
        modes: how each map is resampled: "mask" takes the nearest pixel; "depth" is resampled as the image is, and so
            is "flow", whose vectors are then in pixels of the result, mirrored where the box is.
        sizes: (N, 2) height and width of each image where it is smaller than H x W and stands at the upper left.
        fill: value of each map beyond the image, 0 where none is given.

    Returns:
        Images (N, C, size, size) float32 as of `crop_resize`, and maps of the same names: masks (N, size, size) of
        their type, depth (N, size, size) and flow (N, 2, size, size) float32.
    """
    h, w = images.shape[-2:]
    within = inside(boxes, size, boxes.new_tensor([[h, w]]) if sizes is None else sizes)
    cut: dict[str, Tensor] = {}
    for name, values in maps.items():
        shrink = boxes.new_tensor([values.shape[-2] / h, values.shape[-1] / w] * 2)
        mode, own = modes[name], boxes * shrink
        if mode == "mask":
            found = _nearest(values, own, size)
        elif mode == "depth":
            found = crop_resize(values[:, None], own, size)[:, 0]
        else:
            # Height and width of a box are the pixels of the image that `size` pixels of the result show.
            found = crop_resize(values, own, size) * (size / boxes[:, [3, 2], None, None])
        beyond = ~within if found.dim() == 3 else ~within[:, None]
        cut[name] = found.masked_fill(beyond, (fill or {}).get(name, 0))
    return crop_resize(images, boxes, size), cut


def inside(boxes: Tensor, size: int, sizes: Tensor) -> Tensor:
    """Which pixels (N, size, size) of cut boxes (N, 4) are of the image, whose height and width are `sizes` (N, 2)."""
    rows, columns = ((at >= 0) & (at < sizes[:, i, None]) for i, at in enumerate(_centres(boxes, size)))
    return rows[:, :, None] & columns[:, None, :]


def _nearest(masks: Tensor, boxes: Tensor, size: int) -> Tensor:
    """Masks (N, h, w) cut to boxes (N, 4) and resized to (N, size, size), of the nearest pixel."""
    rows, columns = _centres(boxes, size)
    y, x = rows.long().clamp(0, masks.shape[1] - 1), columns.long().clamp(0, masks.shape[2] - 1)
    number = torch.arange(len(masks), device=masks.device)[:, None, None]
    return masks[number, y[:, :, None], x[:, None, :]]


def _centres(boxes: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Where in the image the rows and columns of a cut box are, (N, size) each."""
    steps = (torch.arange(size, device=boxes.device) + 0.5) / size
    return boxes[:, 0, None] + boxes[:, 2, None] * steps, boxes[:, 1, None] + boxes[:, 3, None] * steps


def _product(first: Tensor, second: Tensor) -> Tensor:
    """Batched matrix product of weights; computed, and given, in bfloat16 where that is fast."""
    dtype = _fast(first)
    return torch.bmm(first.to(dtype), second.to(dtype))


def _fast(weights: Tensor) -> torch.dtype:
    return torch.bfloat16 if fast_bf16(weights.device.type) else torch.float32


def random_boxes(
    n: int,
    height: int | Tensor,
    width: int | Tensor,
    rng: torch.Generator,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    flip: float = 0.5,
) -> Tensor:
    """Boxes (N, 4) of random area share and aspect ratio, the random-resized crop of Inception (Szegedy et al. 2015).

    Images are `height` x `width` pixels, all alike or (N,) of each.
    A box that would not fit is shrunk to fit, keeping its centre range uniform; `flip` is the
    probability of a mirror image (negative width). Height and width are those of all images, or (N,) of each.
    """
    area = uniform((n,), *scale, rng) * (height * width)
    aspect = torch.exp(uniform((n,), math.log(ratio[0]), math.log(ratio[1]), rng))
    box_w, box_h = (area * aspect).sqrt(), (area / aspect).sqrt()
    fit = torch.minimum(torch.minimum(width / box_w, height / box_h), torch.ones_like(box_w))
    box_w, box_h = box_w * fit, box_h * fit
    top = uniform((n,), 0, 1, rng) * (height - box_h)
    left = uniform((n,), 0, 1, rng) * (width - box_w)
    return mirrored_boxes(top, left, box_h, box_w, uniform((n,), 0, 1, rng) < flip)


def scaled_boxes(
    sizes: Tensor, rng: torch.Generator, scale: tuple[float, float] = (0.5, 2.0), flip: float = 0.5
) -> Tensor:
    """Square boxes (N, 4) as `crop_resize` takes them: images at a random scale, cut at a random place.

    At scale 1 a box is as high or wide as the short side of the image; a box larger than the image holds all of it
    somewhere. Scale 0.5 to 2, crop and mirror are DeepLab's augmentation (Chen et al.,
    arXiv 1706.05587, section 4).

    Args:
        sizes: (N, 2) height and width of each image in pixels.
        scale: range of the scale, uniform.
        flip: probability of a mirror image (negative width).
    """
    n = len(sizes)
    side = sizes.amin(1) / uniform((n,), *scale, rng)
    top, left = (uniform((n, 2), 0, 1, rng) * (sizes - side[:, None])).unbind(1)
    return mirrored_boxes(top, left, side, side, uniform((n,), 0, 1, rng) < flip)


def mirrored_boxes(top: Tensor, left: Tensor, height: Tensor, width: Tensor, is_mirrored: Tensor) -> Tensor:
    """Boxes (N, 4) as `crop_resize` takes them from upper left corners and sizes (N,) in pixels.

    Where `is_mirrored` (N,) bool is set, the box begins at its right side and its width is negative.
    """
    left = torch.where(is_mirrored, left + width, left)
    return torch.stack([top, left, height, torch.where(is_mirrored, -width, width)], 1)


def random_resized_crop(
    images: Tensor,
    size: int,
    rng: torch.Generator,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    flip: float = 0.5,
    blur: float = 0.0,
    sigma: tuple[float, float] = (0.1, 2.0),
) -> Tensor:
    """Random box, resize, mirror with probability `flip`, blur with probability `blur`.

    Blur follows SimCLR (Chen et al. 2020, appendix A): sigma uniform in `sigma`, in pixels of a
    224-pixel image, scaled to `size`. Images (N, C, H, W) -> (N, C, size, size) float32.
    """
    n, _, h, w = images.shape
    boxes = random_boxes(n, h, w, rng, scale, ratio, flip)
    strength = None
    if blur > 0:
        drawn = uniform((n,), *sigma, rng) * (size / 224)
        strength = torch.where(uniform((n,), 0, 1, rng) < blur, drawn, torch.zeros_like(drawn))
    return crop_resize(images, boxes, size, strength)


def centre_view(images: Tensor, size: int, crop: float = 1.0) -> Tensor:
    """The deterministic view every probe uses: central square of side `crop` x the short side, resized, normalised.

    Images (N, 3, H, W) uint8 -> (N, 3, size, size) float32 normalised, channels last.
    """
    n, _, h, w = images.shape
    side = min(h, w) * crop
    box = torch.tensor([(h - side) / 2, (w - side) / 2, side, side], device=images.device).expand(n, 4)
    return normalise(crop_resize(images, box, size))
