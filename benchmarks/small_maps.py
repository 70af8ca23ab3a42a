"""Speed of a training step with and without `encoders/small_maps.py`, which docs/decisions/0006 decides on.

Command:   python benchmarks/small_maps.py                # simclr and rotation, ResNet-18, batch 128, 64 pixels
           python benchmarks/small_maps.py --task jigsaw --size 96 --batch-size 32
           ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 python benchmarks/small_maps.py --precision 32-true
Result:    one line a task: without / with, to stdout
Time:      about 3 minutes on one core
Measured:  forward and backward of one constant batch of noise, by one thread, with and without in turns in one process;
           CPU time, so that neighbours matter less; the ratio of the shortest times
Expected:  in bfloat16 (AVX512-BF16) 1.34 for simclr and 1.37 for rotation at 64 pixels, 1.69 for jigsaw at 96
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from unittest.mock import patch

import torch

from selftaught.core.config import RunConfig
from selftaught.core.precision import autocast, channels_last
from selftaught.data.batch import Batch
from selftaught.encoders import small_maps
from selftaught.tasks.named_encoders import with_encoders
from selftaught.tasks.resolve import resolve_task
from selftaught.training.setup import build_task

CPU = torch.device("cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="simclr,rotation", help="names of image tasks, separated by commas")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--precision", choices=["auto", "32-true", "bf16-mixed"], default="auto")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for name in args.task.split(","):
        step = training_step(name, args.size, args.batch_size, args.precision)
        without, with_ = [], []
        for _ in range(args.rounds + 1):
            with patch.object(small_maps, "LEAST_BATCH", float("inf")):
                without.append(seconds(step))
            with_.append(seconds(step))
        # The first round warms up.
        print(f"{name} {args.size} px: {min(without[1:]) / min(with_[1:]):.2f}")


def training_step(name: str, size: int, batch_size: int, precision: str) -> Callable[[], None]:
    """Forward and backward of a task on one example of a batch of noise."""
    asked = RunConfig.of(data="", out="", task=name, encoder="resnet18", stem="standard", size=size)
    spec = resolve_task(name, {})
    task = channels_last(build_task(spec, with_encoders(asked, spec)).train())
    torch.manual_seed(0)
    images = torch.randint(0, 256, (batch_size, 3, size, size), dtype=torch.uint8)
    batch = Batch(index=torch.arange(batch_size), inputs={"image": images})
    example = task.pseudo_label(batch, torch.Generator().manual_seed(0))

    def step() -> None:
        task.zero_grad()
        with autocast(CPU, precision):
            prediction = task(example)
        task.loss(prediction, example)["loss"].backward()

    return step


def seconds(step: Callable[[], None]) -> float:
    """CPU seconds of one step."""
    start = time.process_time()
    step()
    return time.process_time() - start


if __name__ == "__main__":
    main()
