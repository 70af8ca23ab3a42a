"""One step: what the task is asked between its gradients and the update, and how long the gradient may be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from torch import Tensor

from selftaught.core.config import RunConfig
from selftaught.core.randomness import generator
from selftaught.data.batch import Batch
from selftaught.encoders.build import build_encoder
from selftaught.tasks.base import ParameterGroup, PretextTask
from selftaught.tasks.context.rotation import Rotation
from selftaught.training.budget.length import Length, given_length
from selftaught.training.budget.schedule import Schedule
from selftaught.training.data import open_data
from selftaught.training.optimizers import build_optimizer, learning_rate
from selftaught.training.setup import build_task, resolve, spec_for
from selftaught.training.step import Training, split
from selftaught.training.train import train
from tests.training.small_run import config, rows

SETTINGS: dict[str, Any] = {"warmup": 0.0, "lr": 1.0, "steps": 4, "batch_size": 8, "size": 32, "precision": "32-true"}


def training_of(task: Rotation, fabric: Fabric | None = None, **settings: Any) -> Training:
    """By plain gradient descent without momentum and weight decay."""
    fabric = fabric or Fabric(accelerator="cpu", devices=1)
    config = RunConfig.of(data="demo", out="run", **(SETTINGS | settings))
    optimizer = build_optimizer(task, "sgd", 1.0, 0.0, own=task.parameter_groups(), momentum=0.0)
    model, prepared = fabric.setup(task, optimizer)
    length = Length(config=config, schedule=Schedule(parts=((0, 4),), look_every=1))
    return Training(fabric, config, spec_for(config), task, model, prepared, data=None, length=length)  # type: ignore[arg-type]


def rotation() -> Rotation:
    torch.manual_seed(0)
    return Rotation(build_encoder("timm:test_resnet", size=32), Rotation.Config(), 32)


def images(n: int = 8) -> Batch:
    pixels = torch.randint(0, 256, (n, 3, 40, 40), generator=generator("images"), dtype=torch.uint8)
    return Batch(index=torch.arange(n), inputs={"image": pixels})


def moved(task: Rotation, before: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: p.detach() - before[name] for name, p in task.named_parameters()}


def weights(task: Rotation) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in task.named_parameters()}


def length(tensors: dict[str, Tensor]) -> float:
    return float(torch.cat([t.flatten() for t in tensors.values()]).norm())


def test_before_an_update_the_task_sees_clipped_gradients_and_may_leave_a_layer_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task, seen = rotation(), []

    def before_update(step: int, total: int) -> None:
        gradient = {name: p.grad for name, p in task.named_parameters() if p.grad is not None}
        seen.append((step, total, length(gradient)))
        task.head.weight.grad = None

    monkeypatch.setattr(task, "before_update", before_update)
    before = weights(task)
    training_of(task, clip=1e-3).step(1, images())
    ((step, total, norm),) = seen
    assert (step, total) == (1, 4)
    assert norm == pytest.approx(1e-3, rel=1e-3)
    changed = {name for name, difference in moved(task, before).items() if difference.any()}
    assert "head.weight" not in changed
    assert "head.bias" in changed


@pytest.mark.parametrize("clip", [None, 1e-3])
def test_gradients_of_16_bits_are_clipped_at_their_own_size(clip: float | None) -> None:
    """They are computed 1024 times as large; the limit is for what they are."""
    lengths = []
    for is_scaled in (True, False):
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        plugin = MixedPrecision("16-mixed", "cpu", scaler=scaler)
        fabric = Fabric(accelerator="cpu", devices=1, plugins=[plugin] if is_scaled else None)
        task = rotation()
        before = weights(task)
        training_of(task, fabric, clip=clip, precision="16-mixed" if is_scaled else "32-true").step(0, images())
        lengths.append(length(moved(task, before)))
    assert lengths[0] == pytest.approx(lengths[1], rel=5e-2)
    assert clip is None or lengths[0] == pytest.approx(clip, rel=1e-3)


def test_a_group_of_the_task_learns_at_its_own_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for factor in (1.0, 0.25):
        monkeypatch.setattr(
            Rotation, "parameter_groups", lambda self, f=factor: (ParameterGroup(names=("head",), lr_factor=f),)
        )
        task = rotation()
        before = weights(task)
        training_of(task).step(0, images())
        found.append(moved(task, before))
    for name, difference in found[1].items():
        factor = 0.25 if name.startswith("head.") else 1.0
        torch.testing.assert_close(difference, factor * found[0][name], rtol=1e-3, atol=1e-6)


def test_accumulation_covers_the_same_samples(tmp_path: Path) -> None:
    run = train(config(tmp_path / "run", accumulate=2, steps=2, clip=1.0))
    assert len(rows(run / "metrics.csv")) == 2


def test_split_cuts_a_batch_in_order() -> None:
    parts = split(Batch(index=torch.arange(6)), 3)
    assert [p.index.tolist() for p in parts] == [[0, 1], [2, 3], [4, 5]]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_step_is_one_update_by_the_mean_gradient_of_its_parts(tmp_path: Path, accumulate: int) -> None:
    """Compared with a loop over the parts and a step of plain SGD at the rate of the warm-up."""
    fabric = Fabric(accelerator="cpu", devices=1)
    asked = config(tmp_path / "run", accumulate=accumulate, optimizer="sgd", lr=0.1, weight_decay=0.0, steps=40)
    data = open_data(asked, spec_for(asked), fabric)
    settings = resolve(asked, spec_for(asked), data)
    batch = data.loader.batch(3)
    data.loader.close()

    def task_and_optimizer() -> tuple[PretextTask, torch.optim.Optimizer]:
        torch.manual_seed(0)
        task = build_task(spec_for(settings), settings).train()
        return task, build_optimizer(task, "sgd", 0.1, 0.0)

    task, optimizer = task_and_optimizer()
    model, prepared = fabric.setup(task, optimizer)
    training = Training(fabric, settings, spec_for(settings), task, model, prepared, data, given_length(settings, data))
    scalars = training.step(3, batch)
    other, plain = task_and_optimizer()
    losses = []
    for number, part in enumerate(split(batch, accumulate)):
        example = other.pseudo_label(part, generator(settings.seed, "pretext", 3, 0, number))
        loss = other.loss(other(example), example)["loss"]
        (loss / accumulate).backward()
        losses.append(float(loss.detach()))
    rate = prepared.param_groups[0]["lr"]
    assert settings.optim.warmup == 0.05
    assert rate == learning_rate(3, 40, 0.1, 0.05)
    for group in plain.param_groups:
        group["lr"] = rate
    plain.step()
    assert float(scalars["loss"]) == pytest.approx(sum(losses) / accumulate, rel=1e-5)
    for (name, one), (_, two) in zip(task.named_parameters(), other.named_parameters(), strict=True):
        assert torch.allclose(one, two, atol=1e-6), name
