"""A run whose parameters are split over two processes: its values, how it goes on, and what reads it afterwards."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch

import selftaught
from selftaught.core.config import RunConfig
from selftaught.training.checkpoint import load_checkpoint
from selftaught.training.encoder_of_run import load_encoder
from tests.training.small_run import config, rows
from tests.training.stopping import assert_same_run, stopped_before
from tests.two_processes import in_two_processes

pytestmark = pytest.mark.slow

TEACHER = '''
import copy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from selftaught.data.inputs import Image
from selftaught.ops.colour import normalise
from selftaught.ops.crop import random_resized_crop
from selftaught.tasks.base import PretextTask, Refreshed


@dataclass
class Example:
    seen: torch.Tensor
    wanted: torch.Tensor


@dataclass
class Prediction:
    z: torch.Tensor


class Follow(PretextTask):
    """Follow a teacher, with a prediction that is no tensor, a changed gradient and a mean made anew."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        pass

    def __init__(self, encoder, config, size):
        super().__init__()
        self.encoder, self.size = encoder, size
        self.head = nn.Linear(encoder.num_features, 8)
        self.teacher = copy.deepcopy(nn.Sequential(encoder, self.head)).requires_grad_(False)
        self.register_buffer("mean", torch.zeros(0))

    @classmethod
    def inputs(cls, config):
        return {"image": Image()}

    def metric_name(self):
        return "cosine"

    def chance(self, batch_size):
        return 0.0

    def refresh_epochs(self):
        return 0.25

    def before_epoch(self, known, count, rng):
        self.mean = known.features.mean(0)
        self.head.bias.copy_(torch.randn(8, generator=rng) * 0.01)
        return Refreshed(scalars={"mean": float(self.mean.mean())})

    def pseudo_label(self, batch, rng):
        first, second = (normalise(random_resized_crop(batch["image"], self.size, rng)) for _ in range(2))
        with torch.no_grad():
            return Example(first, self.teacher(second))

    def forward(self, example):
        return Prediction(self.head(self.encoder(example.seen)))

    def loss(self, prediction, example):
        cosine = F.cosine_similarity(prediction.z, example.wanted).mean()
        return {"loss": 1 - cosine + self.head.weight.square().sum(), "cosine": cosine.detach()}

    def before_update(self, step, total):
        for parameter in self.head.parameters():
            parameter.grad.mul_(0.5)

    @torch.no_grad()
    def after_step(self, step, total):
        student = [*self.encoder.parameters(), *self.head.parameters()]
        for own, new in zip(self.teacher.parameters(), student, strict=True):
            own.lerp_(new, 0.1)

    def show(self, example, prediction, count):
        return []
'''


def asked(folder: Path, out: str, strategy: str) -> RunConfig:
    return config(
        folder / out, data="synthetic:N=48,side=32", task=str(folder / "follow.py"), steps=5, clip=0.5, devices=2,
        strategy=strategy, accelerator="cpu", accumulate=2,
    )  # fmt: skip


def work(rank: int, port: int, out: str) -> None:
    """The run under both strategies, and one that ends before its fourth step and goes on."""
    os.environ.update(
        MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), LOCAL_RANK=str(rank), NODE_RANK="0", WORLD_SIZE="2",
        SELFTAUGHT_CACHE=f"{out}/cache",
    )  # fmt: skip
    torch.set_num_threads(1)
    from selftaught.training.train import train

    for strategy in ("ddp", "fsdp"):
        train(asked(Path(out), strategy, strategy))
    for strategy in ("ddp", "fsdp"):
        stopped = asked(Path(out), f"stopped_{strategy}", strategy)
        with stopped_before(3):
            train(stopped)
        train(stopped.replace(resume=True))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sharded")
    (folder / "follow.py").write_text(TEACHER)
    in_two_processes(work, str(folder))
    return folder


def test_split_parameters_learn_what_copies_learn(runs: Path) -> None:
    for name, columns in (("metrics.csv", ("loss", "cosine")), ("heldout.csv", ("loss", "rankme"))):
        copies, split = rows(runs / "ddp" / name), rows(runs / "fsdp" / name)
        assert len(split) == len(copies) > 0
        for column in columns:
            assert [float(row[column]) for row in split] == pytest.approx([float(row[column]) for row in copies], 1e-4)
    copied, parts = (load_checkpoint(runs / way / "checkpoints" / "last.safetensors") for way in ("ddp", "fsdp"))
    assert parts[0].keys() == copied[0].keys()
    for name, value in parts[0].items():
        torch.testing.assert_close(value, copied[0][name], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_a_run_of_two_processes_goes_on_to_the_bit(runs: Path, strategy: str) -> None:
    assert_same_run(runs / strategy, runs / f"stopped_{strategy}", "metrics.csv", "heldout.csv", "refresh.csv")


def test_one_process_reads_and_exports_the_checkpoint(runs: Path, tmp_path: Path) -> None:
    encoder = load_encoder(runs / "fsdp")
    tensors, meta = load_checkpoint(runs / "fsdp" / "checkpoints" / "last.safetensors")
    assert meta["step"] == 5
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, tensors[f"task.encoder.{name}"])
    assert encoder(torch.zeros(1, 3, 32, 32)).isfinite().all()
    assert [name for name in tensors if name.startswith("task.teacher.0.")]
    assert tensors["task.mean"].shape == (encoder.num_features,)
    selftaught.export(runs / "fsdp", out=tmp_path / "weights.safetensors", headless=True)
    plain = timm.create_model("test_resnet", num_classes=0)
    plain.load_state_dict(safetensors.torch.load_file(tmp_path / "weights.safetensors"), strict=True)
