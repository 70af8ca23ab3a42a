"""Coloured squares on textured ground, with their boxes: what a detector learns in seconds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from selftaught.core.randomness import generator, numpy_generator
from selftaught.data.annotations.dense_sample import DenseSample
from selftaught.encoders.base import Encoder
from selftaught.evaluation.data.dense import Dense
from tests.data.trees import Object, text, write, xml

CLASSES = ("blue", "red")
COLOURS = torch.tensor([[20, 30, 230], [230, 30, 20]], dtype=torch.uint8)


class Squares:
    """Images of 60 x 80 pixels with one to three squares of 14 to 30; `DenseSamples`."""

    classes: tuple[str, ...] = CLASSES

    def __init__(self, count: int, seed: int) -> None:
        self.count = count
        self.seed = seed
        self.fingerprint = f"{count}-{seed}"
        self.skipped: list[tuple[str, str]] = []
        self.keys: Sequence[str] = [str(i) for i in range(count)]

    def __len__(self) -> int:
        return self.count

    def read(self, i: int) -> DenseSample:
        rng = numpy_generator("squares", self.seed, i)
        image = torch.randint(60, 150, (3, 60, 80), generator=generator("ground", self.seed, i), dtype=torch.uint8)
        boxes, labels = [], []
        for slot in range(int(rng.integers(1, 4))):  # each in a third of the image, so that none hides another
            side, label = int(rng.integers(14, 26)), int(rng.integers(0, 2))
            left, top = slot * 26 + int(rng.integers(0, 27 - side)), int(rng.integers(0, 60 - side))
            image[:, top : top + side, left : left + side] = COLOURS[label][:, None, None]
            boxes.append([left, top, left + side, top + side])
            labels.append(label)
        return DenseSample(
            image=image,
            boxes=torch.tensor(boxes, dtype=torch.float32),
            labels=torch.tensor(labels),
            ignore=torch.zeros(len(labels), dtype=torch.bool),
        )


def voc_tree(root: Path, train: int, test: int, *, is_test_moved: bool = False) -> Path:
    """The squares as a VOC tree with a part each; where moved, the boxes of a test image are those of the next."""
    for part, count, seed in (("trainval", train, 0), ("test", test, 1)):
        squares = Squares(count, seed)
        for i, key in enumerate(squares.keys):
            shown = squares.read(i)
            told = squares.read((i + 1) % count) if is_test_moved and part == "test" else shown
            objects: list[Object] = [
                (CLASSES[label], (left + 1, top + 1, right, bottom), 0)  # from 1, the last pixel within
                for label, (left, top, right, bottom) in zip(told.labels.tolist(), told.boxes.tolist(), strict=True)
            ]
            write(root / "JPEGImages" / f"{part}{key}.png", shown.image.permute(1, 2, 0).numpy())
            text(root / "Annotations" / f"{part}{key}.xml", xml(objects, width=80, height=60))
        text(root / "ImageSets" / "Main" / f"{part}.txt", "".join(f"{part}{key}\n" for key in squares.keys))
    return root


def drawn_data(train: int = 32, test: int = 16) -> Dense:
    return Dense(train=Squares(train, 0), test=Squares(test, 1), classes=CLASSES, test_is="drawn")


class TinyEncoder(Encoder):
    """Three convolutions of stride 2 behind one another, with batch normalisation; weights drawn by `seed`."""

    name = "tiny"
    kind: Literal["image"] = "image"
    num_features = 32
    stages = ("a", "b", "c")

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.layers = nn.ModuleList(
                nn.Sequential(nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.ReLU())
                for before, after in ((3, 8), (8, 16), (16, 32))
            )

    def forward_stages(self, x: Tensor) -> dict[str, Tensor]:
        found = {}
        for name, layer in zip(self.stages, self.layers, strict=True):
            x = found[name] = layer(x)
        return found

    def forward_features(self, x: Tensor) -> Tensor:
        return self.forward_stages(x)["c"]

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_features(x).mean((2, 3))
