"""Images of samples as small JPEG files, for pages that show what a probe found."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from selftaught.data.store.samples import Samples

SIDE = 96
"""Pixels of an image's side at most."""
QUALITY = 85


def picture_files(samples: Samples, rows: NDArray[np.int64], name: str) -> dict[int, tuple[str, bytes]]:
    """{row: (file name, JPEG)} of some rows: the image, or the middle frame of the middle clip of a video.

    Empty for samples without images, which are sound alone.
    """
    found: dict[int, tuple[str, bytes]] = {}
    views = samples.eval_draws(len(samples), 1)[0]
    for row in np.unique(rows):
        host = samples.read(np.array([row]), views[[row]])
        seen = next((one for one in host.inputs.values() if one.ndim >= 4), None)
        if seen is None:
            return {}
        picture = Image.fromarray(seen[0] if seen.ndim == 4 else seen[0, seen.shape[1] // 2])
        picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        data = io.BytesIO()
        picture.save(data, "JPEG", quality=QUALITY)
        found[int(row)] = (f"{name}-{row}.jpg", data.getvalue())
    return found
