"""A task of one file learns from what a program computes: moving objects, from one frame."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from selftaught import pretrain
from selftaught.data.store.cache import list_stores
from selftaught.training.contract.check_task import check_task
from tests.data.computed.moving import shifting, with_square

TASK = '''
"""Moving objects."""
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selftaught.core.ranges import Settings
from selftaught.ops.colour import denormalise, normalise
from selftaught.ops.crop import crop_resize_with_maps, random_boxes
from selftaught.tasks import Clip, Computed, PretextTask, Shown
from selftaught.tasks.base import Map


@dataclass
class Example:
    clips: Tensor
    masks: Tensor


class Moving(PretextTask):
    """Predict which share of a frame moves (Pathak et al., CVPR 2017).

    Shortcut: none is blocked in this test.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        ...

    def __init__(self, encoder, config, size):
        super().__init__()
        self.encoder, self.size = encoder, size
        self.head = nn.Linear(encoder.num_features, 16)

    @classmethod
    def inputs(cls, config):
        return {"clip": Clip(frames=2), "mask": Computed("moving_mask", like="clip")}

    def chance(self, batch_size):
        return 0.5

    def pseudo_label(self, batch, rng):
        frames, masks = batch["clip"][:, 0], batch["mask"][:, 0, 0]
        boxes = random_boxes(len(frames), *frames.shape[-2:], rng)
        images, maps = crop_resize_with_maps(frames, {"mask": masks}, boxes, self.size, modes={"mask": "mask"})
        return Example(normalise(images), maps["mask"])

    def forward(self, example):
        return self.head(self.encoder(example.clips)).view(-1, 1, 4, 4)

    def loss(self, prediction, example):
        target = F.adaptive_avg_pool2d(example.masks[:, None].float(), 4)
        right = ((prediction > 0) == (target > 0.5)).float().mean()
        return {"loss": F.binary_cross_entropy_with_logits(prediction, target), "accuracy": right}

    def show(self, example, prediction, count):
        return [
            Shown(
                inputs=[denormalise(example.clips[n : n + 1])[0]],
                pseudo_label=Map(values=example.masks[n], kind="mask"),
                prediction=Map(values=prediction[n, 0].sigmoid(), kind="mask"),
            )
            for n in range(min(count, len(prediction)))
        ]
'''


def test_a_task_learns_from_what_moves(tmp_path: Path, write_video: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "moving_object_of_one_file.py").write_text(TASK)
    for i in range(10):
        frames, _ = with_square(shifting(6, 1.0, 0.0, height=48, width=64), 3, 0, side=20, top=10 + i, left=5 + i)
        write_video(tmp_path / "videos" / f"{i}.mp4", frames)
    check_task(tmp_path / "moving_object_of_one_file.py")
    pretrain(
        str(tmp_path / "videos"),
        task=str(tmp_path / "moving_object_of_one_file.py"),
        out=str(tmp_path / "run"),
        encoder="timm:test_resnet",
        size=32,
        steps=2,
        batch_size=4,
        held_out=0.3,
    )
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert 0 <= summary["value"] <= 1
    kinds = sorted({store.kind for store in list_stores()})
    assert kinds == ["moving_mask", "videos"]
    samples = json.loads((tmp_path / "run" / "pictures" / "pictures.json").read_text())["samples"]
    colours = set()
    for sample in samples:
        mask = np.asarray(Image.open(tmp_path / "run" / "pictures" / sample["pseudo_label"]).convert("RGB"))
        colours |= {tuple(colour) for colour in mask.reshape(-1, 3).tolist()}
    assert colours == {(0, 0, 0), (128, 0, 0)}
