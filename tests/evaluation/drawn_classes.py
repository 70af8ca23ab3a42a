"""Images of four drawn classes and an encoder small enough for tests of probes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from selftaught.core.randomness import generator, numpy_generator
from selftaught.encoders.base import Encoder, StageKind
from selftaught.evaluation.data.labelled import Labelled
from selftaught.features.reader import Reader
from tests.evaluation.in_memory import InMemory

CLASSES = ("dark", "light", "left", "top")
SIDE = 8


class DrawnSamples(InMemory):
    """`count` images of 8 x 8 in memory; class c is a shade or a gradient under noise."""

    def __init__(self, name: str, count: int, noise: float = 60.0, labels: NDArray[np.int64] | None = None) -> None:
        rng = numpy_generator("drawn", name)
        drawn = np.arange(count) % len(CLASSES)
        ramp = np.linspace(-40, 40, SIDE)
        shapes = [np.full((SIDE, SIDE), -40.0), np.full((SIDE, SIDE), 40.0), np.tile(ramp, (SIDE, 1))]
        shapes.append(shapes[2].T)
        light = np.stack(shapes)[drawn] + rng.normal(0, noise / 2, (count, 1, 1)) + rng.normal(0, noise, (count, 8, 8))
        super().__init__(
            np.repeat((128 + light).clip(0, 255)[..., None], 3, axis=3).astype(np.uint8),
            drawn.astype(np.int64) if labels is None else labels,
            classes=CLASSES,
            keys=[f"{name}/{i}" for i in range(count)],
            fingerprint=f"drawn {name} {count} {noise}",
        )


class TwoStages(Encoder):
    """Two convolutions with weights drawn by `seed`: stages near (4 x 8 x 8) and far (8 x 4 x 4)."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.name, self.kind, self.num_features, self.stages = "two_stages", "image", 8, ("near", "far")
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 8, 3, stride=2, padding=1)
        rng = generator("two stages", seed)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.normal_(0, 0.4, generator=rng)

    def forward_stages(self, x: Tensor) -> dict[str, Tensor]:
        near = torch.relu(self.first(x))
        return {"near": near, "far": torch.relu(self.second(near))}

    def forward_features(self, x: Tensor) -> Tensor:
        return self.forward_stages(x)["far"]

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_features(x).mean((2, 3))


def drawn_data(*, train: int = 240, test: int = 400, noise: float = 60.0, shuffled: bool = False) -> Labelled:
    """Both halves; with `shuffled`, the labels of the test half belong to other images of it."""
    halves = [DrawnSamples("train", train, noise), DrawnSamples("test", test, noise)]
    if shuffled:
        assert halves[1].labels is not None
        halves[1].labels = numpy_generator("shuffle").permutation(halves[1].labels)
    targets = [(np.asarray(half.labels)[:, None] == np.arange(4)).astype(np.int8) for half in halves]
    return Labelled(train=halves[0], test=halves[1], classes=CLASSES, train_targets=targets[0], test_targets=targets[1])


def drawn_reader(*, seed: int = 0, cache: Path | None = None) -> Reader:
    return Reader(
        encoder=TwoStages(seed).eval(),
        size=SIDE,
        device=torch.device("cpu"),
        precision="32-true",
        batch_size=128,
        cache=cache,
    )


class OtherKinds(TwoStages):
    """The same numbers as of `TwoStages` with the first stage as tokens behind one other, the last as a sequence."""

    def stage_kind(self, stage: str) -> StageKind:
        return "tokens" if stage == "near" else "sequence"

    def token_grid(self, stage: str, height: int, width: int) -> tuple[int, int]:
        return height, width

    def forward_stages(self, x: Tensor) -> dict[str, Tensor]:
        near, far = (features.flatten(2).mT for features in super().forward_stages(x).values())
        return {"near": torch.cat([near.mean(1, keepdim=True), near], 1), "far": far}

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_features(x).mean(1)
