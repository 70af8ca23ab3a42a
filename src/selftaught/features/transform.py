"""The preprocessing of an encoder for images, clips and audio that a user's own program holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from selftaught.core.settings.groups import DataSettings
from selftaught.data.decode.containers.only_image import only_image, reading_of
from selftaught.data.decode.containers.opening import read_alone
from selftaught.data.decode.fit import fit, window
from selftaught.data.decode.image import MIN_SIDE, Decoding, image_size, rgb_of
from selftaught.data.decode.values import Values
from selftaught.data.sources.value_range import decoding_of
from selftaught.data.store.open import store_side
from selftaught.encoders.base import Encoder
from selftaught.encoders.modality import modality_of

OneImage: TypeAlias = str | Path | bytes | Image.Image | NDArray[np.uint8] | Tensor
"""A file, its bytes, an image of Pillow, (H, W, 3) uint8, or a tensor (3, H, W), uint8 or in [0, 1]."""


class Transform:
    """From an image to what an encoder takes, with the values that `embed` gives it.

    An image is scaled as in the packed store, cut to the square at its centre, resized and normalised. An encoder of
    clips takes a sequence of frames or a tensor (T, 3, H, W), one of audio a waveform (S,) in [-1, 1] at 16 kHz.

    Data of mixed sizes are stored with the short side of nearly their largest image, where that is below the side of
    the store; a single image knows only its own size, which may change pixels by a level.

    Attributes:
        size: side of what the encoder sees, pixels.
    """

    def __init__(self, encoder: Encoder, size: int, reading: DataSettings) -> None:
        self.kind = encoder.kind
        self.size = size
        self._side = reading.store_size or store_side(size)
        self._decoding = decoding_of(reading)
        self._tile, self._overlap = reading.tile, reading.overlap

    def __repr__(self) -> str:
        return f"Transform(kind={self.kind!r}, size={self.size})"

    def __call__(self, x: OneImage | Sequence[OneImage]) -> Tensor:
        """One image -> (3, size, size), frames -> (3, T, size, size), a waveform -> (1, mels, steps), all float32.

        Several images, a sequence or a tensor (N, 3, H, W), become (N, 3, size, size).

        Raises:
            ValueError: for what is none of these, or cannot be decoded.
        """
        if self.kind == "audio":
            return self._view(_waveform(x))[0]
        is_single = not _is_sequence(x)
        if self.kind == "video" and is_single:
            raise ValueError("this encoder takes clips, got a single image; give a sequence of frames or (T, 3, H, W)")
        squares = torch.stack([self._square(one) for one in (cast(Iterable[OneImage], [x] if is_single else x))])
        if self.kind == "video":
            return self._view(squares[None])[0]
        views = self._view(squares)
        return views[0] if is_single else views

    def _view(self, batch: Tensor) -> Tensor:
        return modality_of(batch).centre(batch, self.size, self.kind)

    def _square(self, one: OneImage) -> Tensor:
        """(3, S, S) uint8, as `Samples.read` gives them."""
        payload: bytes | NDArray[np.uint8] | Values
        if isinstance(one, str | Path):
            path = Path(one).expanduser()
            payload = read_alone(path, self._decoding, tile=self._tile, overlap=self._overlap)
        elif isinstance(one, bytes):
            payload = only_image(one, reading_of(self._decoding))
        else:
            payload = _pixels(one, self._decoding)
        pixels = payload.pixels if isinstance(payload, Values) else payload
        short = min(image_size(pixels) if isinstance(pixels, bytes) else pixels.shape[:2])
        side = min(self._side, max(MIN_SIDE, short))
        square = window(fit(payload, side=side, decoding=self._decoding), side=side, y=0.5, x=0.5)
        return torch.from_numpy(np.ascontiguousarray(square)).permute(2, 0, 1)


def _is_sequence(x: object) -> bool:
    """Whether it is several images and not one."""
    if isinstance(x, Tensor | np.ndarray):
        return x.ndim == 4
    return isinstance(x, list | tuple)


def _pixels(one: object, decoding: Decoding) -> NDArray[np.uint8] | Values:
    """(H, W, 3) uint8, or (H, W, C) of any numbers for an encoder of C other channels."""
    if decoding.channels:
        return _of_channels(one, decoding.depth)
    if isinstance(one, Image.Image):
        return rgb_of(one, decoding)
    if isinstance(one, Tensor):
        if one.ndim != 3 or one.shape[0] != 3 or not (one.dtype == torch.uint8 or one.is_floating_point()):
            raise ValueError(f"a tensor must be (3, H, W) uint8 or in [0, 1], got {tuple(one.shape)} {one.dtype}")
        levels = one if one.dtype == torch.uint8 else one.clamp(0, 1).mul(255).round().byte()
        return np.ascontiguousarray(levels.permute(1, 2, 0).cpu().numpy())
    if isinstance(one, np.ndarray) and one.ndim == 3 and one.shape[2] == 3 and one.dtype == np.uint8:
        return one
    got = f"{one.shape} {one.dtype}" if isinstance(one, np.ndarray) else type(one).__name__
    raise ValueError(f"an image must be a path, bytes, an image of Pillow, (H, W, 3) uint8 or a tensor, got {got}")


def _of_channels(one: object, channels: int) -> Values:
    if isinstance(one, Tensor) and one.ndim == 3 and one.shape[0] == channels:
        return Values(one.movedim(0, -1).cpu().numpy())
    if isinstance(one, np.ndarray) and one.ndim == 3 and one.shape[2] == channels:
        return Values(one)
    raise ValueError(
        f"an image must be a path, an array (H, W, {channels}) or a tensor ({channels}, H, W), got "
        f"{tuple(one.shape) if isinstance(one, Tensor | np.ndarray) else type(one).__name__}"
    )


def _waveform(x: object) -> Tensor:
    """(1, S) float32."""
    found = torch.as_tensor(x) if isinstance(x, np.ndarray) else x
    if not isinstance(found, Tensor) or found.ndim != 1 or not found.is_floating_point():
        raise ValueError("this encoder takes audio; give a waveform (S,) in [-1, 1] at 16 kHz")
    return found.float()[None]
