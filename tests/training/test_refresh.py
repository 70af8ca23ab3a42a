"""Pseudo-labels made anew between epochs: resumed exactly, followed, handed to all processes."""

from __future__ import annotations

import atexit
import csv
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from selftaught.core.config import RunConfig
from selftaught.core.devices import make_fabric
from selftaught.core.randomness import generator
from selftaught.data.batch import Sampling
from selftaught.data.loader import Loader, to_device
from selftaught.data.sources.open import open_source
from selftaught.data.store.open import open_samples
from selftaught.tasks.base import Known, PretextTask, Refreshed
from selftaught.training.budget.trial import measure
from selftaught.training.checkpoint import load_checkpoint
from selftaught.training.data import Data, open_data
from selftaught.training.optimizers import build_optimizer
from selftaught.training.refresh import fit_buffers, refresh, refresh_steps, steps_between
from selftaught.training.setup import build_task, resolve, spec_for
from selftaught.training.train import train
from tests.training.stopping import assert_same_run, stopped_before
from tests.two_processes import in_two_processes

TASK = '''
"""A task whose label is the brighter half of the data, found anew every third of an epoch."""

from dataclasses import dataclass

import torch
from torch import nn

from selftaught.tasks.parts.losses import classification
from selftaught.data.inputs import Image
from selftaught.ops.crop import centre_view
from selftaught.tasks.base import PretextTask, Refreshed


@dataclass
class Example:
    images: torch.Tensor
    label: torch.Tensor


class Brighter(PretextTask):
    """Predict the half of the data by the features' sum (Nobody, NOWHERE 2020)."""

    @classmethod
    def inputs(cls, config):
        return {"image": Image()}

    @dataclass(frozen=True, kw_only=True)
    class Config:
        every: float = 0.3
        """Epochs."""

    def __init__(self, encoder, config, size):
        super().__init__()
        self.encoder, self.config, self.size = encoder, config, size
        self.head = nn.Linear(encoder.num_features, 2)
        self.still = nn.Linear(encoder.num_features, 2)
        self.register_buffer("label_of", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("features", torch.zeros(0))

    def chance(self, batch_size):
        return 0.5

    def refresh_epochs(self):
        return self.config.every

    def before_epoch(self, known, count, rng):
        total = known.features.sum(1)
        self.label_of = torch.zeros(int(known.index.max()) + 1, dtype=torch.int64)
        self.label_of[known.index] = (total > total.median()).long()
        self.features = known.features
        self.head.weight.copy_(torch.randn(self.head.weight.shape, generator=rng) * 0.01)
        order = known.index[torch.randperm(len(known.index), generator=rng)]
        return Refreshed(order=order[:count].flip(0), scalars={"count": float(count), "bright": float(total.max())})

    def pseudo_label(self, batch, rng):
        number = batch.index if self.training else batch.index % len(self.label_of)
        return Example(centre_view(batch["image"], self.size), self.label_of[number])

    def forward(self, example):
        features = self.encoder(example.images)
        return self.head(features) + self.still(features)

    def loss(self, prediction, example):
        return classification(prediction, example.label)

    def show(self, example, prediction, count):
        return []
'''


@pytest.fixture(scope="module")
def task_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("task") / "brighter.py"
    path.write_text(TASK)
    return path


def config(out: Path, task: Path, **changes: object) -> RunConfig:
    """51 of 60 samples are trained with: 6.375 steps an epoch, a refresh every 2 steps."""
    small = RunConfig.of(
        data="synthetic:N=60,side=32",
        out=str(out),
        task=str(task),
        encoder="timm:test_resnet",
        size=32,
        batch_size=8,
        steps=7,
        log_every=1,
        checkpoint_every=3,
        precision="32-true",
        accelerator="cpu",
    )
    return small.replace(**changes)  # type: ignore[arg-type]


def opened(out: Path, task: Path, **changes: object) -> tuple[RunConfig, Any, Data, PretextTask]:
    asked = config(out, task, **changes)
    fabric = make_fabric(asked.machine, is_partly_used=False)
    data = open_data(asked, spec_for(asked), fabric)
    resolved = resolve(asked, spec_for(asked), data)
    return resolved, fabric, data, build_task(spec_for(resolved), resolved)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, task_file: Path) -> Path:
    return train(config(tmp_path_factory.mktemp("run") / "run", task_file))


def test_a_row_for_every_refresh(finished: Path) -> None:
    with (finished / "refresh.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["1", "3", "5", "7"]
    assert [float(row["count"]) for row in rows] == [16, 16, 16, 8]  # the last is cut by the end of the run


@pytest.mark.parametrize("checkpoint_every", [3, 2])
def test_resuming_between_and_at_a_refresh_gives_the_run_that_never_stopped(
    finished: Path, tmp_path: Path, task_file: Path, checkpoint_every: int
) -> None:
    """Killed in step 5 (counted from 0): resumed from 3, between two refreshes, or from 4, at one."""
    with stopped_before(5):
        train(config(tmp_path / "run", task_file, checkpoint_every=checkpoint_every))
    resumed = train(config(tmp_path / "run", task_file, checkpoint_every=checkpoint_every, resume=True))
    one, other = (load_checkpoint(run / "checkpoints" / "last.safetensors") for run in (finished, resumed))
    assert one[0]["task.label_of"].shape == (51,)
    assert one[1]["order_from"] == other[1]["order_from"] == 6
    assert_same_run(finished, resumed, "metrics.csv", "heldout.csv", "refresh.csv")


def test_what_is_written_loses_its_momentum_and_the_rest_keeps_it(tmp_path: Path, task_file: Path) -> None:
    resolved, fabric, data, task = opened(tmp_path, task_file)
    optimizer = build_optimizer(task, "sgd", 0.1, 0.0)
    images = torch.randn(4, 3, 32, 32)
    task.encoder(images).sum().backward()
    for parameter in task.get_submodule("head").parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    head, conv = task.get_parameter("head.weight"), next(task.encoder.parameters())
    assert bool(optimizer.state[head]["momentum_buffer"].any())
    before = [head.clone(), conv.clone()]
    refresh(task, optimizer, data, resolved, fabric, 0)
    assert not torch.equal(head, before[0])
    assert not bool(optimizer.state[head]["momentum_buffer"].any())
    assert torch.equal(conv, before[1])
    assert bool(optimizer.state[conv]["momentum_buffer"].any())
    assert bool(optimizer.state[task.get_parameter("head.bias")]["momentum_buffer"].any())
    assert task.training
    assert not any(p.requires_grad is False for p in task.parameters())


def test_known_are_the_samples_the_run_reads(tmp_path: Path, task_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resolved, fabric, data, task = opened(tmp_path, task_file, limit=20)
    told: list[Known] = []
    original = type(task).before_epoch

    def listening(self: PretextTask, known: Known, count: int, rng: torch.Generator) -> Refreshed:
        told.append(known)
        return original(self, known, count, rng)

    monkeypatch.setattr(type(task), "before_epoch", listening)
    refresh(task, build_optimizer(task, "sgd", 0.1, 0.0), data, resolved, fabric, 0)
    known = told[0]
    assert known.index.tolist() == data.whole.chosen.tolist()
    assert data.samples.labels is not None
    assert known.labels is not None
    assert known.labels.tolist() == data.samples.labels[data.whole.chosen].tolist()
    host = data.samples.read(data.whole.chosen[5:6], np.full((1, 3), 0.5))
    with torch.no_grad():
        expected = task.eval().embed(to_device(host, data.samples, torch.device("cpu"), {}))
    assert torch.allclose(known.features[5:6], expected, rtol=1e-4, atol=1e-5)


def test_the_order_is_followed_from_its_step_on() -> None:
    source = open_source("synthetic:N=60,side=16", split="train", needs=frozenset({"image"}))
    samples = open_samples(source, side=16, sampling=Sampling(), cache_limit_gb=1.0, workers=1)
    loader = Loader(samples, sampling=Sampling(), batch_size=8, seed=0, device=torch.device("cpu"))
    plain = [loader.rows(step).tolist() for step in range(6)]
    loader.batch(2)  # reads step 3 ahead, in the plain order
    order = np.arange(20)[::-1].copy()
    loader.follow(3, order)
    read = [loader.batch(step).index.tolist() for step in range(3, 6)]
    assert read == [list(range(19, 11, -1)), list(range(11, 3, -1)), [3, 2, 1, 0, 19, 18, 17, 16]]
    assert loader.rows(2).tolist() == plain[2]
    loader.follow(5, None)
    assert loader.batch(5).index.tolist() == plain[5]
    assert loader.state(5) == ({}, {})
    loader.close()


def test_once_is_before_the_first_step_only(tmp_path: Path, task_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, data, task = opened(tmp_path, task_file)
    assert steps_between(task, data) == 2
    # 5 steps are 3 + 2, not 2 + 2 + 1, and 101 steps have no stretch of 1 at their end.
    assert [steps_between(task, data, steps) for steps in (1, 5, 8, 100, 101)] == [1, 3, 2, 2, 3]
    monkeypatch.setattr(type(task), "refresh_epochs", lambda self: float("inf"))
    assert steps_between(task, data) > 10**9
    monkeypatch.setattr(type(task), "refresh_epochs", lambda self: 0)
    assert steps_between(task, data) == 0


def test_shares_of_the_run_are_refreshed_at_however_short_it_is(
    tmp_path: Path, task_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, data, task = opened(tmp_path, task_file)
    assert refresh_steps(task, data, 7) == [0, 2, 4, 6]
    monkeypatch.setattr(type(task), "refresh_shares", lambda self: (0.5,))
    assert [refresh_steps(task, data, steps) for steps in (1, 2, 3, 7)] == [[0], [0, 1], [0, 2], [0, 2, 4, 6]]
    assert refresh_steps(task, data, 10) == [0, 3, 5, 8]  # two stretches of 5 steps, each 3 + 2
    monkeypatch.setattr(type(task), "refresh_epochs", lambda self: 100.0)
    assert refresh_steps(task, data, 10) == [0, 5]
    monkeypatch.setattr(type(task), "refresh_epochs", lambda self: 0)
    assert refresh_steps(task, data, 10) == []
    data.loader.close()


def test_fit_buffers_takes_the_shapes_of_a_checkpoint(tmp_path: Path, task_file: Path) -> None:
    *_, task = opened(tmp_path, task_file)
    fit_buffers(task, {"label_of": torch.arange(7), "features": torch.zeros(7, 3)})
    shapes = {name: tuple(buffer.shape) for name, buffer in task.named_buffers()}
    assert (shapes["label_of"], shapes["features"]) == ((7,), (7, 3))
    assert task.get_buffer("label_of").dtype == torch.int64


def test_a_budget_counts_the_refresh_and_leaves_the_task_alone(tmp_path: Path, task_file: Path) -> None:
    resolved, fabric, data, task = opened(tmp_path, task_file, steps=None, budget="3s")
    before = {name: value.clone() for name, value in task.state_dict().items()}
    costs = measure(resolved, task, data, fabric, allowed=0.1)
    assert costs.refresh > 0
    assert costs.between == steps_between(task, data)
    after = task.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    data.loader.close()


def work(rank: int, port: int, out: str, task: str) -> None:
    """One of two processes as torchrun starts them: a run, with what each knows after its last refresh written down."""
    names = {"RANK": rank, "LOCAL_RANK": rank, "GROUP_RANK": 0, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2}
    os.environ.update({name: str(value) for name, value in names.items()})
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), TORCHELASTIC_RUN_ID="test")
    torch.set_num_threads(1)
    atexit.register(note_group, Path(out) / f"{rank}.left")  # called last: it was registered first
    from selftaught.core.distributed import gather_strided
    from selftaught.training import train as module

    seen: dict[str, Any] = {}
    original = refresh

    def recording(task: PretextTask, *args: Any, **named: Any) -> dict[str, float]:
        scalars = original(task, *args, **named)
        seen["label_of"], seen["head"] = task.get_buffer("label_of").clone(), task.get_parameter("head.weight").clone()
        seen["features"] = task.get_buffer("features").clone()
        seen["order"] = args[1].loader.state(0)[0]["order"]
        return scalars

    module.__dict__["refresh"] = recording
    module.train(config(Path(out) / "run", Path(task), devices=2, steps=3))
    for count in (7, 8):
        seen[f"gathered{count}"] = gather_strided(torch.arange(count * 2).view(count, 2)[rank::2], count)
    seen |= exchange(rank)
    torch.save(seen, Path(out) / f"{rank}.pt")
    atexit._run_exitfuncs()  # a forked process ends without them


def note_group(path: Path) -> None:
    path.write_text(f"in a group: {torch.distributed.is_initialized()}")


def exchange(rank: int | None) -> dict[str, torch.Tensor]:
    """Two steps of noise as targets, whose state changes in the loss: a half of each batch, or all of it."""
    from selftaught.encoders.build import build_encoder
    from selftaught.tasks.context.noise_as_targets import Example, NoiseAsTargets

    task = NoiseAsTargets(build_encoder("timm:test_resnet", size=32), NoiseAsTargets.Config(embedding=8), 32)
    with torch.no_grad():
        task.before_epoch(Known(index=torch.arange(12), features=torch.zeros(12, 1), labels=None), 0, generator(0))
    losses = []
    for step in range(2):
        outputs = torch.randn(8, 8, generator=generator("outputs", step))
        share = slice(None) if rank is None else slice(4 * rank, 4 * rank + 4)
        index = torch.tensor([0, 2, 4, 6, 8, 10, 4, 1])
        losses.append(task.loss(outputs[share], Example(torch.zeros(0), index[share]))["loss"])
    loss = torch.stack(losses)
    if rank is not None:
        torch.distributed.all_reduce(loss)
        loss = loss / 2
    return {"target_of": task.target_of, "noise_loss": loss}


def test_two_processes_agree_on_labels_and_order(
    tmp_path: Path, task_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_two_processes(work, str(tmp_path), str(task_file))
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert first["label_of"].sum() == 25
    for name in first:
        assert torch.equal(first[name], second[name]), name
    assert first["gathered7"].tolist() == torch.arange(14).view(7, 2).tolist()
    for name, value in exchange(None).items():
        assert torch.allclose(first[name], value), name
    assert first["gathered8"].tolist() == torch.arange(16).view(8, 2).tolist()
    # gloo's threads abort a process whose interpreter goes before they do.
    assert {(tmp_path / f"{rank}.left").read_text() for rank in (0, 1)} == {"in a group: False"}
