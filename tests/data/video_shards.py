"""Tar shards of small drawn videos."""

from __future__ import annotations

import tarfile
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.conftest import WriteVideo
from tests.data.store.videos import moving
from tests.data.tar_shards import MODES, add

FRAMES = 14


def drawn(number: int, frames: int = FRAMES) -> NDArray[np.uint8]:
    """The frames of a video: so many, or up to two more."""
    return moving(frames + number % 3, 32, seed=number)


def write_clip_shards(
    folder: Path,
    counts: Sequence[int],
    write_video: WriteVideo,
    *,
    ending: str = ".tar",
    broken: Collection[int] = (),
    frames: int = FRAMES,
) -> Path:
    """A folder `files` of videos 000.mp4, 001.mp4 ..., and `shards` of the same; `broken` ones cannot be read."""
    files, shards = folder / "files", folder / "shards"
    shards.mkdir(parents=True, exist_ok=True)
    number = 0
    for shard, count in enumerate(counts):
        path = shards / f"s-{shard:03d}{ending}"
        with tarfile.open(str(path), MODES[ending]) as archive:  # type: ignore[call-overload]
            for video in range(number, number + count):
                file = write_video(files / f"{video:03d}.mp4", drawn(video, frames))
                if video in broken:
                    file.write_bytes(file.read_bytes()[:200])
                add(archive, file.name, file.read_bytes())
                add(archive, f"{video:03d}.cls", b"1")
        number += count
    return shards
