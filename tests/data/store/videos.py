"""Videos that tests draw, and how they are opened and read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from selftaught.data.batch import Sampling
from selftaught.data.inputs import Clip, Sound
from selftaught.data.sources.video_folder import open_video_folder
from selftaught.data.store.open import open_samples
from selftaught.data.store.samples import HostBatch
from selftaught.data.store.video_samples import VideoSamples


def opened(
    path: Path, sampling: Sampling, *, side: int = 32, limit: float = 50.0, held_out: float = 0.0
) -> VideoSamples:
    needs = frozenset({"video", "audio"} if "audio" in sampling.inputs else {"video"})
    source = open_video_folder(path, split="train", needs=needs, seed=0, held_out=held_out)
    samples = open_samples(source, side=side, sampling=sampling, cache_limit_gb=limit, workers=2)
    assert isinstance(samples, VideoSamples)
    return samples


def draws(*starts: float) -> NDArray[np.float64]:
    return np.array([[0.5, 0.5, start] for start in starts])


def read(samples: VideoSamples, *starts: float) -> HostBatch:
    return samples.read(np.zeros(len(starts), np.int64), draws(*starts))


def counted(count: int = 20, height: int = 32, width: int = 32) -> NDArray[np.uint8]:
    """Frames that are all of one grey level: 10 times their number plus 20."""
    level = (20 + 10 * np.arange(count)).astype(np.uint8)
    return np.broadcast_to(level[:, None, None, None], (count, height, width, 3)).copy()


def numbers(frames: NDArray[np.uint8]) -> list[int]:
    """Numbers of `counted` frames (T, H, W, 3)."""
    return [round(float(level - 20) / 10) for level in frames.mean((1, 2, 3))]


def moving(count: int, side: int = 48, seed: int = 0) -> NDArray[np.uint8]:
    """A bright square that crosses a textured ground."""
    rng = np.random.default_rng(seed)
    ground = np.kron(rng.integers(40, 160, (side // 8, side // 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    frames = np.repeat(ground[None], count, 0)
    for t in range(count):
        x = int(t * (side - 12) / max(1, count - 1))
        frames[t, 10:22, x : x + 12] = 255
    return frames


PAIRS = Sampling(inputs={"video": Clip(frames=1), "audio": Sound(seconds=1.0)}, clips_per_video=2, min_gap=1.0)
