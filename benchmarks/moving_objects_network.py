"""Networks of `moving_objects.py`: training them, what they predict for frames, and the speed of their steps."""

from __future__ import annotations

import contextlib
import csv
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from drawn_videos import drawn
from numpy.typing import NDArray
from throughput import fast_precision, set_threads
from video_throughput import Clock

from selftaught.cli.main import main
from selftaught.encoders.build import build_encoder
from selftaught.ops.colour import normalise
from selftaught.ops.crop import crop_resize
from selftaught.ops.draw_maps import IGNORE
from selftaught.tasks.semantic.moving_object import Example, MovingObject
from selftaught.training.checkpoint import load_checkpoint

SIZE, BATCH, WARM_UP, STEPS = 128, 16, 3, 20


@dataclass(frozen=True)
class Network:
    """A task after `pretrain`.

    Attributes:
        task: in evaluation mode.
        accuracy: of the held-out part.
        share: of the cells of crops that moved in training, a mean over the steps that were logged.
    """

    task: MovingObject
    accuracy: float
    share: float


def trained(folder: Path, program: str, *, steps: int, size: int) -> Network:
    """After `pretrain` on the videos in a folder, with `program` as what makes the masks."""
    words = ["pretrain", str(folder / "videos"), "--task", "moving_object", "--task.program", program]
    words += ["--size", str(size), "--steps", str(steps), "--batch-size", "16", "--held-out", "0.1"]
    words += ["--evaluate-every", "1000000", "--out", str(folder / "run")]
    with contextlib.redirect_stdout(sys.stderr):
        if main(words):
            raise RuntimeError("pretrain failed")
    task = MovingObject(build_encoder("resnet18", size=size), MovingObject.Config(), size)
    tensors, _ = load_checkpoint(folder / "run" / "checkpoints" / "last.safetensors")
    task.load_state_dict({name.removeprefix("task."): one for name, one in tensors.items() if name.startswith("task.")})
    summary: dict[str, Any] = json.loads((folder / "run" / "summary.json").read_text())
    with (folder / "run" / "metrics.csv").open() as file:
        share = np.mean([float(row["iou_all_moving"]) for row in csv.DictReader(file)])
    return Network(task.eval(), round(float(summary["value"]), 3), round(float(share), 3))


def middle_squares(
    sequences: Iterator[tuple[str, NDArray[np.uint8], NDArray[np.bool_]]], every: int = 4
) -> Iterator[tuple[str, NDArray[np.uint8], NDArray[np.bool_]]]:
    """The square in the middle of every fourth frame and mask."""
    for name, frames, truth in sequences:
        yield name, _square(frames[::every]), _square(truth[::every])


def _square(values: NDArray[Any]) -> NDArray[Any]:
    height, width = values.shape[1:3]
    left = (width - height) // 2
    return values[:, :, left : left + height]


@torch.no_grad()
def scored(task: MovingObject, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Frames (T, S, S, 3) -> logits of what moves at half of the size, (T, ceil(S / 2), ceil(S / 2))."""
    images = torch.from_numpy(np.ascontiguousarray(frames)).movedim(3, 1)
    side = images.shape[-1]
    whole = torch.tensor([[0.0, 0.0, side, side]]).expand(len(images), 4)
    nothing = torch.zeros(0)
    logits = task(Example(normalise(crop_resize(images, whole, task.size)), nothing, nothing))
    larger = torch.nn.functional.interpolate(logits[:, None], size=(-(-side // 2),) * 2, mode="bilinear")
    return np.asarray(larger[:, 0].numpy())


def our_steps() -> float:
    """Images a second of `pretrain` on packed videos with packed masks, by CPU time; the median of its steps."""
    from selftaught.training import train
    from selftaught.training.speed import Speed

    clocks: list[Clock] = []
    rates: list[float] = []

    class Timed(Speed):
        """The loop adds to it after each step."""

        def add(self, data_seconds: float, seconds: float) -> None:
            super().add(data_seconds, seconds)
            rates.extend(clock.rates(BATCH)["cpu"] for clock in clocks[-1:])
            clocks.append(Clock())

    with tempfile.TemporaryDirectory() as folder:
        videos = drawn(Path(folder) / "videos", BATCH, 4)
        words = ["pretrain", str(videos), "--task", "moving_object", "--task.program", "flow", "--size", str(SIZE)]
        words += ["--batch-size", str(BATCH), "--held-out", "0.1", "--steps", str(WARM_UP + STEPS)]
        words += ["--evaluate-every", "1000000", "--log-every", "1000", "--out", f"{folder}/run"]
        with patch.object(train, "Speed", Timed), contextlib.redirect_stdout(sys.stderr):
            if main(words):
                raise RuntimeError("pretrain failed")
    return statistics.median(rates[WARM_UP - 1 :])


def bare_steps() -> float:
    """Images a second of the same network, loss and optimiser on one constant batch."""
    set_threads()
    task = MovingObject(build_encoder("resnet18", size=SIZE), MovingObject.Config(), SIZE)
    task = task.to(memory_format=torch.channels_last)
    decay = MovingObject.recipe.weight_decay  # which costs 3 ms a step
    optimizer = torch.optim.SGD(
        task.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=decay, foreach=True
    )
    images = torch.randn(BATCH, 3, SIZE, SIZE).contiguous(memory_format=torch.channels_last)
    moving = torch.tensor([0, 1, IGNORE], dtype=torch.uint8)[torch.randint(3, (BATCH, task.side, task.side))]
    example = Example(images, moving, torch.ones(BATCH, dtype=torch.bool))
    rates = []
    for _ in range(WARM_UP + STEPS):
        clock = Clock()
        with torch.autocast("cpu", torch.bfloat16, enabled=fast_precision() == "bf16-mixed"):
            loss = task.loss(task(example), example)["loss"]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        rates.append(clock.rates(BATCH)["cpu"])
    return statistics.median(rates[WARM_UP:])
