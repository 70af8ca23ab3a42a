"""A task of one file is given masks with its images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import selftaught
from selftaught.data.store.cache import list_stores
from selftaught.training.contract.check_task import check_task
from tests.data.trees import text, write

TASK = '''
"""Coverage."""
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from selftaught.core.ranges import Settings
from selftaught.ops.colour import denormalise, normalise
from selftaught.ops.crop import crop_resize_with_maps, random_boxes
from selftaught.tasks import Given, Image, PretextTask, Shown
from selftaught.tasks.base import Map


@dataclass
class Example:
    images: Tensor
    masks: Tensor


class Coverage(PretextTask):
    """Predict where class 1 is.

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
        return {"image": Image(), "mask": Given("mask")}

    def metric_name(self):
        return "agreement"

    def chance(self, batch_size):
        return 0.5

    def pseudo_label(self, batch, rng):
        images, masks = batch["image"], (batch["mask"] == 1).float()
        agreement = ((images[:, 0] > 127) == (masks == 1)).float().mean()
        assert agreement > 0.95 or len(images) == 2, agreement  # check_task draws two samples of noise
        boxes = random_boxes(len(images), *images.shape[-2:], rng)
        cut, maps = crop_resize_with_maps(images, {"mask": masks}, boxes, self.size, modes={"mask": "mask"})
        return Example(normalise(cut), maps["mask"])

    def forward(self, example):
        return self.head(self.encoder(example.images)).view(-1, 1, 4, 4)

    def loss(self, prediction, example):
        target = F.adaptive_avg_pool2d(example.masks[:, None], 4)
        right = ((prediction > 0) == (target > 0.5)).float().mean()
        return {"loss": F.binary_cross_entropy_with_logits(prediction, target), "agreement": right}

    def show(self, example, prediction, count):
        return [
            Shown(
                inputs=[denormalise(example.images[n : n + 1])[0]],
                pseudo_label=Map(values=example.masks[n], kind="mask"),
                prediction=Map(values=prediction[n, 0].sigmoid(), kind="mask"),
            )
            for n in range(min(count, len(prediction)))
        ]
'''
SMALL = {"encoder": "timm:test_resnet", "size": 32, "steps": 2, "batch_size": 4, "held_out": 0.3}


@pytest.fixture
def scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve wide images whose light part is class 1; the mask of one is broken."""
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path / "cache"))
    for i in range(12):
        mask = np.zeros((40, 90), np.uint8)
        mask[:, 6 * i :] = 1
        write(tmp_path / "data" / "images" / f"{i:02d}.png", np.repeat(200 * mask[:, :, None] + 20, 3, 2))
        write(tmp_path / "data" / "masks" / f"{i:02d}.png", mask)
    (tmp_path / "data" / "masks" / "05.png").write_bytes(b"broken")
    text(tmp_path / "data" / "classes.txt", "ground\nthing\n")
    return tmp_path / "data"


def test_a_task_learns_from_masks_in_the_window_of_the_image(tmp_path: Path, scenes: Path) -> None:
    task = tmp_path / "coverage_of_one_file.py"
    task.write_text(TASK)
    check_task(task)
    summary = selftaught.pretrain(str(scenes), task=str(task), out=str(tmp_path / "run"), **SMALL)  # type: ignore[arg-type]
    assert (summary["skipped"], summary["train_samples"] + summary["heldout_samples"]) == (1, 11)
    assert "images/05.png" in (tmp_path / "run" / "skipped.csv").read_text()
    assert sorted({store.kind for store in list_stores()}) == ["images", "mask maps"]
    samples = json.loads((tmp_path / "run" / "pictures" / "pictures.json").read_text())["samples"]
    mask = np.asarray(Image.open(tmp_path / "run" / "pictures" / samples[0]["pseudo_label"]).convert("RGB"))
    assert {tuple(colour) for colour in mask.reshape(-1, 3).tolist()} <= {(0, 0, 0), (255, 255, 255)}
    resumed = selftaught.pretrain(
        str(scenes),
        task=str(task),
        out=str(tmp_path / "run"),
        resume=True,
        **SMALL | {"steps": 3},  # type: ignore[arg-type]
    )
    assert resumed["steps"] == 3


def test_data_without_masks_are_refused_before_anything_is_packed(tmp_path: Path, scenes: Path) -> None:
    task = tmp_path / "coverage_of_one_file.py"
    task.write_text(TASK)
    with pytest.raises(ValueError, match=r"^masks are needed, but synthetic:N=20,side=32 holds images and labels only"):
        selftaught.pretrain("synthetic:N=20,side=32", task=str(task), out=str(tmp_path / "run"), **SMALL)  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()
    assert list_stores() == []
