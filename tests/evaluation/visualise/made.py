"""A small encoder, a few images, and the folder that `--probe qualitative` writes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from selftaught.core.own_folder import write_json
from selftaught.encoders.base import Encoder
from selftaught.evaluation.data.unlabelled import Unlabelled
from selftaught.evaluation.kept_score import figures, write_files
from selftaught.evaluation.probes.qualitative import Qualitative
from selftaught.features.reader import Reader
from tests.evaluation.in_memory import InMemory


class SmallEncoder(Encoder):
    """Two convolutions, seeded; stages "conv1" and "conv2"."""

    name, kind, num_features, stages = "small", "image", 8, ("conv1", "conv2")

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.conv1 = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
            self.conv2 = nn.Sequential(nn.Conv2d(8, 8, 3, stride=2, padding=1), nn.ReLU())

    def forward_stages(self, x: Tensor) -> dict[str, Tensor]:
        first = self.conv1(x)
        return {"conv1": first, "conv2": self.conv2(first)}

    def forward_features(self, x: Tensor) -> Tensor:
        return self.forward_stages(x)["conv2"]

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_features(x).mean((2, 3))


class Pictures(InMemory):
    """Images (M, S, S, 3) uint8 and, where they are known, labels (M,), under names of files."""

    def __init__(self, pixels: NDArray[np.uint8], labels: NDArray[np.int64] | None = None) -> None:
        super().__init__(
            pixels,
            labels,
            classes=None if labels is None else tuple(f"class {i}" for i in range(int(labels.max()) + 1)),
            keys=[f"folder/{i:04d}.png" for i in range(len(pixels))],
            fingerprint=f"images {pixels.shape}",
        )


def random_pictures(count: int, side: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def reader_of(encoder: Encoder, size: int) -> Reader:
    return Reader(encoder=encoder, size=size, device=torch.device("cpu"), precision="32-true")


SMALL: dict[str, Any] = {"pictures": 12, "channels": 2, "patches": 3, "shown": 2, "steps": 2}


def make_qualitative_folder(evaluations: Path, *, labels: bool = True, supervised: bool = False) -> Path:
    """Write qualitative-00000000.json and its folders of images as evaluate does; returns the JSON's path."""
    known = np.arange(14) % 3
    data = Unlabelled(test=Pictures(random_pictures(14, 16), known if labels else None))
    who = ["encoder", "random"] + ["supervised"] * supervised
    stem = "qualitative-00000000"
    scores = {
        name: Qualitative(Qualitative.Config(**SMALL)).score(reader_of(SmallEncoder(seed), 16), data)
        for seed, name in enumerate(who)
    }
    for name, score in scores.items():
        write_files(score.files, evaluations / stem / name)
    write_json(
        evaluations / f"{stem}.json",
        {
            **{"probe": "qualitative", "metric": "pictures", **figures(scores["encoder"]), "chance": None},
            **{"train_samples": 0, "test_samples": 14, "gain": {"value": None, "interval": None}},
            **{"random": figures(scores["random"]), "fraction": 1.0, "labelled": "folder", "encoder": "small"},
            "supervised": figures(scores["supervised"]) if supervised else None,
            **{"part": "encoder", "checkpoint": "last", "run": "run", "seconds": 1.0},
            "files": {name: f"{stem}/{name}" for name in who},
        },
    )
    return evaluations / f"{stem}.json"
