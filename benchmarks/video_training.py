"""Rows of `video_throughput.py`: clips a second of clip_rotation by ours, by a plain loop, and bare."""

from __future__ import annotations

import argparse
import contextlib
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parent))
from throughput import fast_precision, set_threads
from video_throughput import READING, Clock, opened, videos_of

FRAMES, BATCH, SIZE, SHORT_SIDE = 16, 8, 56, 64
WARM_UP = 3
"""Steps that are not timed. In the first two the kernel still maps memory that later steps use again: up to 3 s of a
step of 5 s, and not alike in both programs."""


def ours(args: argparse.Namespace) -> dict[str, float]:
    """The command line as a user runs it, in this process, so that its CPU time can be read after each step."""
    from selftaught.cli.main import main
    from selftaught.training import train
    from selftaught.training.speed import Speed

    clocks: list[Clock] = []
    rates: list[dict[str, float]] = []

    class Timed(Speed):
        """The loop adds to it after each step."""

        def add(self, data_seconds: float, seconds: float) -> None:
            super().add(data_seconds, seconds)
            rates.extend(clock.rates(BATCH) for clock in clocks[-1:])
            clocks.append(Clock())

    with tempfile.TemporaryDirectory() as folder:
        words = ["pretrain", str(args.data), "--task", "clip_rotation", "--encoder", "r3d_18", "--size", str(SIZE)]
        words += ["--batch-size", str(BATCH), "--held-out", "0.1", "--steps", str(args.steps + WARM_UP)]
        words += ["--log-every", "1", "--evaluate-every", "1000000", "--out", f"{folder}/run"]
        with patch.object(train, "Speed", Timed), contextlib.redirect_stdout(sys.stderr):
            if main(words):
                raise RuntimeError("pretrain failed")
    return median(rates[WARM_UP - 1 :])


def median(rates: list[dict[str, float]]) -> dict[str, float]:
    return {clock: statistics.median([rate[clock] for rate in rates]) for clock in ("wall", "cpu")}


def load_ours(args: argparse.Namespace) -> dict[str, float]:
    """Batches and their pseudo-labels, all that ours does in a step but for the network."""
    samples = opened(args, side=SHORT_SIDE)
    import torch

    from selftaught.core.randomness import generator
    from selftaught.data.loader import Loader
    from selftaught.tasks.temporal.clip_rotation import ClipRotation

    network: Any = torch.nn.Identity()
    network.num_features = 1
    task = ClipRotation(network, ClipRotation.Config(), SIZE)
    loader = Loader(samples, sampling=samples.sampling, batch_size=BATCH, seed=0, device=torch.device("cpu"))
    return batches_a_second(lambda step: task.pseudo_label(loader.batch(step), generator(0, step)))


def load_plain(args: argparse.Namespace) -> dict[str, float]:
    """Batches of the plain loop, rotated, by one worker after the other."""
    set_threads()
    import torch

    clips = Clips(args.data, transforms())
    return batches_a_second(
        lambda step: rotated(torch.stack([clips[BATCH * step + number] for number in range(BATCH)]))
    )


def batches_a_second(batch: Callable[[int], Any]) -> dict[str, float]:
    """Clips a second, before they are rotated."""
    batch(0)
    clock, until, step = Clock(), time.perf_counter() + READING, 0
    while time.perf_counter() < until:
        step += 1
        batch(step)
    return clock.rates(BATCH * step)


def transforms() -> Any:
    """Those of torchvision's own example of video classification, at the size of ours."""
    import torch
    from torchvision.transforms import v2

    return v2.Compose(
        [
            v2.Resize(SHORT_SIDE),
            v2.RandomCrop(SIZE),
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )


def rotated(clips: Any) -> Any:
    """(N, T, 3, S, S) -> all four rotations (4 N, 3, T, S, S)."""
    import torch

    return torch.cat([clips.transpose(1, 2).rot90(turns, (3, 4)) for turns in range(4)])


def plain(args: argparse.Namespace) -> dict[str, float]:
    """A Dataset that decodes with PyAV, transforms of torchvision, a DataLoader, and fp32, as nothing else is asked."""
    import torch

    loader: Any = torch.utils.data.DataLoader(
        Clips(args.data, transforms()),  # type: ignore[arg-type]
        batch_size=BATCH,
        num_workers=torch.get_num_threads(),
        persistent_workers=True,
        drop_last=True,
    )
    step = Step(is_plain=True)
    batches: Any = iter(loader)
    for number in range(args.steps + WARM_UP):
        if number == WARM_UP:
            clock = Clock([worker.pid for worker in batches._workers])
        step(rotated(next(batches)))
    # The loader reads ahead while the first steps run, so the mean over all later steps counts.
    return clock.rates(BATCH * args.steps)


def bare(args: argparse.Namespace) -> dict[str, float]:
    """The limit, nothing but the model on one constant batch."""
    set_threads()
    import torch

    step = Step()
    clips = torch.randn(4 * BATCH, 3, FRAMES, SIZE, SIZE).to(memory_format=torch.channels_last_3d)
    rates = []
    for _ in range(args.steps + WARM_UP):
        clock = Clock()
        step(clips)
        rates.append(clock.rates(BATCH))
    return median(rates[WARM_UP:])


class Step:
    """torchvision's r3d_18 of four classes, cross entropy and SGD, in the precision and memory format of ours.

    With `is_plain` both are PyTorch's defaults.
    """

    def __init__(self, *, is_plain: bool = False) -> None:
        import torch
        import torchvision

        from selftaught.tasks.temporal.clip_rotation import ClipRotation

        self.format = torch.contiguous_format if is_plain else torch.channels_last_3d
        self.model = torchvision.models.video.r3d_18(num_classes=4).to(memory_format=self.format)
        decay = ClipRotation.recipe.weight_decay
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=decay, foreach=True
        )
        self.turns = torch.arange(4).repeat_interleave(BATCH)
        self.is_bf16 = not is_plain and fast_precision() == "bf16-mixed"

    def __call__(self, clips: Any) -> None:
        import torch

        clips = clips.contiguous(memory_format=self.format)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.is_bf16):
            loss = torch.nn.functional.cross_entropy(self.model(clips), self.turns)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


class Clips:
    """16 frames from a random place of each video, (16, 3, 64, W) uint8, through `transform`."""

    def __init__(self, folder: Path, transform: Callable[[Any], Any]) -> None:
        self.transform = transform
        self.videos = videos_of(argparse.Namespace(data=folder))

    def __len__(self) -> int:
        return 1_000_000

    def __getitem__(self, number: int) -> Any:
        import av
        import torch

        with av.open(self.videos[number % len(self.videos)]) as container:
            stream: Any = container.streams.video[0]
            stream.thread_type = "NONE"
            last = max(0, (stream.duration or 0) - int(FRAMES / stream.average_rate / stream.time_base))
            start = random.randrange(last + 1)
            container.seek(start, stream=stream)
            frames: list[Any] = []
            for frame in container.decode(stream):
                if frame.pts >= start or len(frames):
                    frames.append(torch.from_numpy(frame.to_ndarray(format="rgb24")))
                if len(frames) == FRAMES:
                    break
        frames += frames[-1:] * (FRAMES - len(frames))
        return self.transform(torch.stack(frames).permute(0, 3, 1, 2))


ROWS_OF_TRAINING = {
    "load a": load_ours,
    "load b": load_plain,
    "train a": ours,
    "train b": plain,
    "train d": bare,
}
