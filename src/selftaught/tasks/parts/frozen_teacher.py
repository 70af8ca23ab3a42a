"""A network that never learns and is no part of the task's state, as large ones would fill every checkpoint."""

from __future__ import annotations

import hashlib

import torch
import torch.nn.functional as F
from torch import Tensor

from selftaught.core.precision import channels_last
from selftaught.encoders.base import Encoder
from selftaught.encoders.trimmed_convolutions import trim_kernels


class FrozenTeacher:
    """Images (N, 3, S, S), normalised -> their pooled features (N, D), without gradient, in evaluation mode.

    It is no module, so that neither optimisers, checkpoints nor other processes get its weights; it follows the images
    to their device.

    Attributes:
        size: side of the images it sees, pixels; others are resized.
        digest: (32,) uint8, the SHA-256 of its weights; zeros for random ones.
    """

    def __init__(self, encoder: Encoder, *, size: int, is_random: bool = False) -> None:
        self.encoder = encoder.eval().requires_grad_(False)
        trim_kernels(self.encoder)
        channels_last(self.encoder)
        self.size = size
        self.digest = torch.zeros(32, dtype=torch.uint8, device="cpu") if is_random else _digest(encoder)

    @property
    def num_features(self) -> int:
        """D."""
        return self.encoder.num_features

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        if images.shape[-1] != self.size:
            images = F.interpolate(images, size=(self.size, self.size), mode="bilinear", align_corners=False)
        features: Tensor = self.encoder.to(images.device).eval()(images)
        return features


def _digest(encoder: Encoder) -> Tensor:
    found = hashlib.sha256()
    for name, value in sorted(encoder.state_dict().items()):
        found.update(name.encode())
        found.update(value.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return torch.frombuffer(bytearray(found.digest()), dtype=torch.uint8)
