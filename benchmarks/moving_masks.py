"""Quality of the computed label `moving_mask`: intersection over union with the masks of DAVIS, by sequence.

Command:   python benchmarks/moving_masks.py
Needs:     the real data sets beside the checkout (../shared/data/davis240)
Result:    one line a sequence and the mean, to stdout
Time:      about a minute on one core
Measured:  the first 40 frames of each of 12 sequences at 160 x 284 pixels, with annotated masks at half that size; the
           mean over the frames of a sequence, then over sequences. Frames without a mask are left out
Expected:  a mean of 0.40, from 0.07 (goat, which the camera follows over stones) to 0.62 (cows)
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from selftaught.data.computed.moving_mask import MovingMask

ARCHIVE = Path(__file__).resolve().parents[2] / "shared" / "data" / "davis240" / "davis240.zip"
HEIGHT, WIDTH = 160, 284


def main() -> None:
    if not ARCHIVE.exists():
        raise SystemExit("the real data sets are not beside this checkout")
    with zipfile.ZipFile(ARCHIVE) as archive:
        names = sorted({name.split("/")[1] for name in archive.namelist() if name.startswith("frames/")} - {""})
        means = {name: overlap(archive, name) for name in names}
    for name, mean in means.items():
        print(f"{name:20} {mean:.3f}")
    print(f"{'mean':20} {np.mean(list(means.values())):.3f}")


def overlap(archive: zipfile.ZipFile, sequence: str) -> float:
    """Mean IoU over the frames of a sequence but the last, which has no next frame."""
    files = sorted(name for name in archive.namelist() if name.startswith(f"frames/{sequence}/") and name[-1] != "/")
    frames = np.stack([image_of(archive, name, "RGB", (WIDTH, HEIGHT)) for name in files])
    found = MovingMask().run(frames)[..., 0] > 0
    values = []
    for mask, name in zip(found, files, strict=False):
        annotated = name.replace("frames/", "masks/").replace(".jpg", ".png")
        truth = image_of(archive, annotated, "L", (WIDTH // 2, HEIGHT // 2)) > 127
        if truth.any():
            values.append((mask & truth).sum() / (mask | truth).sum())
    return float(np.mean(values))


def image_of(archive: zipfile.ZipFile, name: str, mode: str, size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(archive.read(name))).convert(mode).resize(size))


if __name__ == "__main__":
    main()
