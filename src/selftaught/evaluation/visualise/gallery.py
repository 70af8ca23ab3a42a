"""An encoder, the images it is shown and the files that are drawn of both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from selftaught.data.store.subset import Subset
from selftaught.encoders.base import Encoder
from selftaught.encoders.modality import encoder_view
from selftaught.features.encode import sample_batches
from selftaught.ops.colour import denormalise
from selftaught.ops.false_colours import in_colours
from selftaught.ops.sheet import encode_picture, lay_out

BATCH = 32
"""Images whose maps of all stages are in memory at once."""


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """What every part is drawn from.

    Attributes:
        encoder: on `device`, in evaluation mode.
        samples: M images.
        size: side of the images as the encoder takes them, S pixels.
        files: what has been drawn, by file name.
    """

    encoder: Encoder
    samples: Subset
    size: int
    device: torch.device
    precision: str = "auto"
    files: dict[str, bytes] = field(default_factory=dict)

    def views(self, rows: Sequence[int] | None = None) -> Iterator[Tensor]:
        """Images as the encoder takes them, (N, 3, S, S) normalised on the device, in batches; all unless named."""
        samples = self.samples if rows is None else Subset(self.samples, np.array(rows, np.int64))
        for views in sample_batches(samples, batch_size=BATCH, device=self.device, clips=1):
            yield encoder_view(self.encoder, views[0].inputs, self.size)

    def pictures(self, rows: Sequence[int]) -> Tensor:
        """Images (N, 3, S, S) in [0, 1] on the CPU."""
        parts = [in_colours(denormalise(views)).cpu() for views in self.views(rows)]
        return torch.cat(parts) if parts else torch.zeros(0, 3, self.size, self.size)

    def key(self, row: int) -> str:
        """What the data call an image."""
        return self.samples.keys[row]

    def label(self, row: int) -> str | None:
        """The image's class, where it is known."""
        labels, classes = self.samples.labels, self.samples.classes
        return None if labels is None or classes is None or labels[row] < 0 else classes[int(labels[row])]

    def add(self, file: str, tiles: Tensor, *, columns: int, gap: int = 2, caption: str) -> dict[str, Any]:
        """Keep tiles (N, 3, s, s) in [0, 1] as one file, .png or .jpg; returns its entry in the index."""
        self.files[file] = encode_picture(lay_out(tiles, columns, gap), file.rpartition(".")[2])
        sides = {"tile": tiles.shape[-1], "gap": gap, "columns": columns, "count": len(tiles)}
        return {"file": file, "caption": caption, **sides}
