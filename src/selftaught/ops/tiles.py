"""Tiles of images, resampled so that their pixels do not give away where they come from.

A resized image has a periodic pattern of sharp and soft where new pixels fall on old ones or between them. Tiles that
are cut from it at whole pixels can be put in order by that pattern alone: a small network solved 62 % of jigsaw puzzles
of white noise (10 % is chance). So each tile is resampled separately, straight from the image, from a random sub-pixel
position.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Generator, Tensor, nn

from selftaught.core.randomness import uniform
from selftaught.ops.crop import axis_weights, random_boxes, resample

CELLS = 3
"""Cells along each side of a grid."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Grid of possible tile positions, in pixels of a tile.

    Attributes:
        tile: side of a tile.
        pitch: from one cell to the next.
        play: a tile is 0 ... play below and right of the corner of its cell.
        shift: each colour channel of a tile may be cut another 0 ... 2 * shift further.
    """

    tile: int
    pitch: int
    play: int
    shift: int = 0

    @property
    def side(self) -> int:
        """Side of the square that the grid covers."""
        return (CELLS - 1) * self.pitch + self.tile + self.play + 2 * self.shift

    @property
    def gap(self) -> int:
        """Smallest gap between two neighbouring tiles."""
        return self.pitch - self.tile - self.play - 2 * self.shift


def default_tile(size: int) -> int:
    """Side of tiles for an encoder at `size`: a quarter of what images are stored at for it.

    3 x 3 of them with their gaps then fill a stored image as it is: 16 pixels at size 32, 32 at 64 and 64 at 224.
    """
    return max(round(size * 2 / 7), min(size // 2, 40))


def fit_tile(encoder: nn.Module, *, asked: int, default: int, size: int, task: str, flag: str) -> int:
    """Side of the tiles: the one that was asked for, or else the first from `default` on that the encoder takes."""
    start = asked or default
    sides = range(start, max(size, start + 1))
    found = next((side for side in sides if _takes(encoder, side)), None)
    if found is None:
        raise ValueError(
            f"task '{task}' needs an encoder that takes tiles, but this one takes none from {start} x {start} up to "
            f"{size} x {size} pixels; choose another --encoder"
        )
    if asked and found != asked:
        raise ValueError(
            f"task '{task}' needs tiles of a side that its encoder takes, got {asked} x {asked} pixels; "
            f"raise {flag} to {found}"
        )
    return found


def check_grid(grid: Grid, *, size: int, task: str, flag: str) -> None:
    """Raise a `ValueError` for a grid so large that its tiles would show nothing.

    Images are stored at up to twice `size`, and may be enlarged twice again.
    """
    least = math.ceil(grid.side / 4)
    if size < least:
        raise ValueError(
            f"task '{task}' needs images of at least {least} x {least} pixels for {CELLS} x {CELLS} tiles of "
            f"{grid.tile} x {grid.tile}, got {size} x {size}; lower {flag} or raise --size"
        )


def random_tiles(images: Tensor, grid: Grid, rng: Generator, *, min_scale: float) -> Tensor:
    """The nine tiles of a random square of each image, cells row by row; half of the images are mirrored.

    Images (N, C, H, W) uint8 -> (N, 9, C, T, T) float32 in [0, 1], T = tile + 2 shift. The square covers at least
    `min_scale` of the area of the largest one.
    """
    n, _, height, width = images.shape
    # A filter that is cut off at the border of the image would mark the outer tiles.
    margin = math.ceil(min(height, width) / grid.side / 2 + 0.5)
    boxes = random_boxes(n, height - 2 * margin, width - 2 * margin, rng, (min_scale, 1.0), (1.0, 1.0))
    top, left, length, mirrored = boxes.unbind(1)
    scale, sign = length / grid.side, mirrored.sign()
    down, right = place_tiles(grid, scale, rng)
    side = grid.tile + 2 * grid.shift
    return crop_tiles(
        images,
        margin + top[:, None] + down,
        margin + left[:, None] + sign[:, None] * right,
        side * scale,
        side * scale * sign,
        side,
    )


def place_tiles(grid: Grid, scale: Tensor, rng: Generator) -> tuple[Tensor, Tensor]:
    """Offsets down and right of the tiles from their square's corner: scale (N,) -> two of (N, 9), cells row by row.

    All in pixels of the image, of which there are `scale` for each pixel of the grid. The play is rounded to a whole
    number of them, at least 1 even without play, so that where between two pixels a tile begins is uniform, whatever
    its cell.
    """
    cells = torch.arange(CELLS * CELLS, device=rng.device)
    corners = torch.stack([cells // CELLS, cells % CELLS])[:, None] * grid.pitch * scale[:, None]
    play = (grid.play * scale).round().clamp(min=1)[:, None]
    down, right = corners + uniform((2, len(scale), len(cells)), 0, 1, rng) * play
    return down, right


def crop_tiles(images: Tensor, top: Tensor, left: Tensor, height: Tensor, width: Tensor, size: int) -> Tensor:
    """K boxes of every image, resized to squares: images (N, C, H, W) -> (N, K, C, size, size) float32.

    `top` and `left` (N, K), `height` and `width` (N,) are in pixels; a negative width mirrors, and left is the right
    edge then. Result in [0, 1] from uint8, in the input's range from float. Computed in float32, as tiles of little
    contrast are stretched afterwards.
    """
    n, c, h, w = images.shape
    k = top.shape[1]
    total = 1 / 255 if images.dtype == torch.uint8 else 1.0
    rows = axis_weights(top.flatten(), height.repeat_interleave(k), h, size, total)
    columns = axis_weights(left.flatten(), width.repeat_interleave(k), w, size)
    # Rows of all tiles of an image in one product, as in `crop.resample`.
    pixels = images.permute(0, 2, 3, 1).float().reshape(n, h, w * c)
    short = torch.bmm(rows.view(n, k * size, h), pixels)
    planes = short.view(n * k, size, w, c).permute(0, 3, 1, 2).reshape(n * k, c * size, w)
    return torch.bmm(planes, columns.transpose(1, 2)).view(n, k, c, size, size).float()


def cut_tiles(images: Tensor, top: Tensor, left: Tensor, size: int) -> Tensor:
    """Square tiles at whole pixels, copied: images (N, C, H, W), top and left int64 -> (N, K, C, size, size).

    `top` and `left` are (N, K), or (N, K, C) where each channel has its own.
    """
    if top.ndim == 2:
        top, left = top[..., None], left[..., None]
    # A view of all windows, of which whole ones are copied: many times faster than an index for every pixel.
    windows = images.unfold(2, size, 1).unfold(3, size, 1)
    sample = torch.arange(len(images), device=images.device)[:, None, None]
    channel = torch.arange(images.shape[1], device=images.device)
    return windows[sample, channel, top, left]


def standardise_tiles(tiles: Tensor) -> Tensor:
    """Every tile (..., C, H, W) to mean 0 and standard deviation 1 in each channel, against brightness cues."""
    spread, mean = torch.std_mean(tiles, (-2, -1), keepdim=True)
    return (tiles - mean) / spread.clamp(min=1e-3)


def pixelate(tiles: Tensor, sides: Tensor) -> Tensor:
    """Every tile down-sampled to its own side and up-sampled again.

    Tiles (M, C, S, S) float, sides (M,) int64 in [1, S], S leaving the tile as it is -> the same shape.
    """
    weights = _pixelation(tiles.shape[-1], tiles.device)[sides - 1]
    return resample(tiles, weights, weights)


def as_pictures(tiles: Tensor) -> Tensor:
    """Standardised tiles for display: plus and minus two standard deviations fill [0, 1]."""
    return (tiles.float() / 4 + 0.5).clamp(0, 1)


def mosaic(tiles: Tensor, gap: int = 2) -> Tensor:
    """A square number of tiles (K, C, S, S), row by row, as one image (C, H, H) with white lines between them."""
    across = math.isqrt(len(tiles))
    framed = nn.functional.pad(tiles, (0, gap, 0, gap), value=1.0)
    sheet = framed.view(across, across, *framed.shape[1:]).permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2)
    return sheet[:, : sheet.shape[1] - gap, : sheet.shape[2] - gap]


@lru_cache(maxsize=8)
def _pixelation(side: int, device: torch.device) -> Tensor:
    """Matrices (side, side, side): number i takes an axis of `side` pixels to i + 1 of them and back."""
    start = torch.zeros(1, device=device)
    length = torch.tensor([float(side)], device=device)
    matrices = [torch.eye(side, device=device)]
    for fewer in range(side - 1, 0, -1):
        down = axis_weights(start, length, side, fewer)[0]
        up = axis_weights(start, torch.tensor([float(fewer)], device=device), fewer, side)[0]
        matrices.append(up @ down)
    return torch.stack(matrices[::-1])


@torch.no_grad()
def _takes(encoder: nn.Module, side: int) -> bool:
    mode = encoder.training
    device = next(encoder.parameters()).device
    try:
        encoder.eval()(torch.zeros(1, 3, side, side, device=device))
    except (ValueError, RuntimeError, AssertionError):
        return False
    finally:
        encoder.train(mode)
    return True
