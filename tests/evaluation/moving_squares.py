"""Clips of a square whose direction of movement is the class, and an encoder of clips small enough for tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from selftaught.core.randomness import generator, numpy_generator
from selftaught.data.store.samples import HostBatch
from selftaught.encoders.base import Encoder
from selftaught.evaluation.data.labelled import Labelled
from selftaught.features.reader import Reader
from tests.evaluation.in_memory import InMemory

CLASSES = ("right", "left", "down", "up", "still", "grows")
FRAMES, SIDE, LONG = 4, 16, 8


class MovingSquares(InMemory):
    """`count` videos of 8 frames in memory, class c in turn; `group` of three neighbours each."""

    def __init__(self, name: str, count: int, *, with_groups: bool = False) -> None:
        rng = numpy_generator("squares", name)
        labels = np.arange(count) % len(CLASSES)
        shown = np.stack([_video(int(label), rng) for label in labels])
        super().__init__(
            shown[:, 0],
            labels.astype(np.int64),
            classes=CLASSES,
            keys=[f"{name}/{i}.mp4" for i in range(count)],
            fingerprint=f"squares {name} {count}",
        )
        self.videos = shown
        self.groups: NDArray[np.int64] | None = np.arange(count) // 3 if with_groups else None

    def read(self, rows: NDArray[np.int64], draws: NDArray[np.float64]) -> HostBatch:
        """The clip of four frames that begins at the third draw."""
        starts = np.round(draws[:, 2] * (LONG - FRAMES)).astype(int)
        clips = np.stack([self.videos[row, start : start + FRAMES] for row, start in zip(rows, starts, strict=True)])
        return HostBatch(index=rows, inputs={"video": clips})

    def eval_draws(self, count: int, clips: int) -> list[NDArray[np.float64]]:
        return [np.full((count, 3), (i + 0.5) / clips) for i in range(clips)]


def _video(label: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """(8, 16, 16, 3)."""
    y, x = ((1, 0), (0, 1))[label in (2, 3)]
    step = (1, -1, 1, -1, 0, 0)[label]
    start = rng.integers(0, SIDE, 2)
    frames = rng.integers(0, 60, (LONG, SIDE, SIDE, 3))
    for t in range(LONG):
        side = 4 + (t if label == 5 else 0)
        rows = (np.arange(side) + start[0] + (1 - y) * step * t) % SIDE
        columns = (np.arange(side) + start[1] + (1 - x) * step * t) % SIDE
        frames[t][np.ix_(rows, columns)] = 230
    return frames.astype(np.uint8)


class TwoClipStages(Encoder):
    """Two 3-D convolutions with weights drawn by `seed`: stages near (6 channels) and far (12), half of the size."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.name, self.kind, self.num_features, self.stages = "two_clip_stages", "video", 12, ("near", "far")
        self.first = nn.Conv3d(3, 6, (2, 3, 3), padding=(0, 1, 1))
        self.second = nn.Conv3d(6, 12, (2, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))
        rng = generator("two clip stages", seed)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.normal_(0, 0.3, generator=rng)

    def forward_stages(self, x: Tensor) -> dict[str, Tensor]:
        near = torch.relu(self.first(x))
        return {"near": near, "far": torch.relu(self.second(near))}

    def forward_features(self, x: Tensor) -> Tensor:
        return self.forward_stages(x)["far"]

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_features(x).mean((2, 3, 4))


def moving_data(train: int = 60, test: int = 30, *, with_groups: bool = False) -> Labelled:
    return Labelled(
        train=MovingSquares("train", train, with_groups=with_groups),
        test=MovingSquares("test", test, with_groups=with_groups),
        classes=CLASSES,
    )


def clip_reader(encoder: Encoder | None = None, **changes: Any) -> Reader:
    given = {"encoder": encoder or TwoClipStages().eval(), "size": SIDE, "device": torch.device("cpu")}
    return Reader(**{**given, "precision": "32-true", "batch_size": 128, **changes})
