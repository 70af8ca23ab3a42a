"""Clips in which a square moves over a still ground, and runs on videos of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from selftaught.core.config import RunConfig
from selftaught.data.batch import Batch
from selftaught.tasks.base import PretextTask
from selftaught.training.optimizers import build_optimizer
from selftaught.training.train import train
from tests.training.stopping import assert_same_run, stopped_before


def batch(videos: Tensor) -> Batch:
    """Clips (N, T, 3, H, W) uint8 as the input "video" of a task."""
    return Batch(index=torch.arange(len(videos)), inputs={"video": videos})


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def crossing(seed: int, *, frames: int = 16, side: int = 24, square: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Frames (T, side, side, 3) uint8 in which a white square crosses a ground, and its mask (T, side, side) bool."""
    draw = np.random.default_rng(seed)
    ground = np.kron(draw.integers(20, 120, (4, 4, 3)), np.ones((side // 4, side // 4, 1))).astype(np.uint8)
    video, mask = np.repeat(ground[None], frames, 0), np.zeros((frames, side, side), bool)
    y = int(draw.integers(2, side - square - 2))
    for t in range(frames):
        x = round(t * (side - square) / (frames - 1))
        mask[t, y : y + square, x : x + square] = True
    video[mask] = 255
    return (video[:, :, ::-1], mask[:, :, ::-1]) if seed % 2 else (video, mask)


def crossings(seeds: range, **shape: int) -> tuple[Tensor, Tensor]:
    """Clips (N, T, 3, side, side) uint8 and masks (N, T, 1, side, side) uint8 of `crossing`, as a batch has them."""
    found = [crossing(seed, **shape) for seed in seeds]
    videos = torch.stack([torch.from_numpy(video.copy()).permute(0, 3, 1, 2) for video, _ in found])
    masks = torch.stack([torch.from_numpy(mask.copy())[:, None].byte() for _, mask in found])
    return videos.contiguous(), masks


def fit(
    model: PretextTask, batch: Callable[[int], Batch], *, steps: int, lr: float = 2e-3, optimizer: str = "adamw"
) -> None:
    """Steps on batches by step; the model is in evaluation mode afterwards."""
    torch.manual_seed(0)  # of dropout
    update = build_optimizer(model.train(), optimizer, lr, 1e-2 if optimizer == "adamw" else 0.0)
    for step in range(steps):
        example = model.pseudo_label(batch(step), rng(step))
        update.zero_grad()
        model.loss(model(example), example)["loss"].backward()
        update.step()
    model.eval()


@torch.no_grad()
def judge(model: PretextTask, batches: list[Batch]) -> float:
    """Mean of the task's metric."""
    examples = [model.pseudo_label(batch, rng(1000 + k)) for k, batch in enumerate(batches)]
    return float(np.mean([float(model.loss(model(one), one)[model.metric_name()]) for one in examples]))


def large_crossing(seed: int) -> np.ndarray:
    """20 frames (T, 48, 48, 3) of `crossing`."""
    return crossing(seed, frames=20, side=48, square=14)[0]


def check_run(
    folder: Path,
    write_video: Any,
    task: str,
    *,
    video: Callable[[int], np.ndarray] = large_crossing,
    **settings: Any,
) -> Path:
    """Train on 8 videos, stop, go on: the same to the bit as without a stop. Returns the run without one."""
    for seed in range(8):
        write_video(folder / "videos" / f"{seed}.mp4", video(seed))
    asked: dict[str, Any] = {"encoder": "timm:test_resnet", "size": 32, "batch_size": 4, "steps": 3, **settings}

    def run(name: str, **more: Any) -> Path:
        return train(
            RunConfig.of(
                data=str(folder / "videos"),
                out=str(folder / name),
                task=task,
                held_out=0.3,
                checkpoint_every=1,
                **asked,
                **more,
            )
        )

    whole = run("whole")
    with stopped_before(2):
        run("stopped")
    assert_same_run(whole, run("stopped", resume=True), "metrics.csv", "heldout.csv")
    return whole


def check_halves(model: PretextTask, whole: Any, halves: list[Any]) -> None:
    """Value and gradient of two processes, the means of those of halves of a batch, are those of the batch."""

    def outcome(example: Any) -> tuple[float, list[Tensor]]:
        model.zero_grad()
        loss = model.loss(model(example), example)["loss"]
        loss.backward()
        return float(loss.detach()), [p.grad.clone() for p in model.parameters() if p.grad is not None]

    model.eval()  # the statistics of batch normalisation are each process's own
    value, gradient = outcome(whole)
    values, gradients = zip(*[outcome(half) for half in halves], strict=True)
    assert abs(value - sum(values) / 2) < 1e-5
    for one, *parts in zip(gradient, *gradients, strict=True):
        assert torch.allclose(one, sum(parts) / 2, atol=1e-5)
