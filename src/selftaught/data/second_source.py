"""Images of a second source, which a task reads beside its own data."""

from __future__ import annotations

import numpy as np
import torch
from torch import Generator, Tensor

from selftaught.core.settings.groups import DataSettings
from selftaught.data.batch import Sampling
from selftaught.data.sources.open import open_part
from selftaught.data.store.open import pack
from selftaught.data.store.samples import Samples


class SecondSource:
    """Images in any format that pretrain reads, packed at the first draw; frames where it has videos alone.

    Nothing is read ahead, as what is drawn follows from the generator of the step alone; 32 packed images of 128 pixels
    take 0.25 ms of a core, 128 take 0.95 ms.

    Args:
        path: folder, archive or name of the data.
        flag: that named it, for errors.
        size: of the images that the encoder sees, pixels.

    Raises:
        ValueError: where there are no images, in one sentence.
    """

    def __init__(self, path: str, *, flag: str, size: int) -> None:
        self._data = DataSettings(path=path)
        try:
            self._source = open_part(self._data, split="train", needs=frozenset({"image"}))
        except ValueError as wrong:
            raise ValueError(f"{flag} {path}: {wrong}") from None
        if self._source.is_endless:
            raise ValueError(f"{flag} must be images that are kept, got {path}; give a folder of photos")
        self._size = size
        self._opened: Samples | None = None

    def draw(self, count: int, rng: Generator) -> Tensor:
        """Images (count, 3, side, side) uint8 on the device of `rng`, each drawn at random, cut where it is random."""
        if self._opened is None:
            self._opened = pack(self._source, self._data, Sampling(), size=self._size, title="packing real images")
        rows = torch.randint(len(self._opened), (count,), generator=rng, device=rng.device).cpu().numpy()
        draws = torch.rand(count, Sampling().draws, generator=rng, device=rng.device).double().cpu().numpy()
        pixels = torch.from_numpy(np.ascontiguousarray(self._opened.read(rows, draws)["image"]))
        return pixels.permute(0, 3, 1, 2).to(rng.device)
