"""2 processes (gloo) give the loss and the gradient of 1 with the same global batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from selftaught.core.randomness import generator
from selftaught.data.batch import Batch
from selftaught.encoders.build import build_encoder
from selftaught.tasks.base import PretextTask
from selftaught.tasks.context.rotation import Example as Rotated
from selftaught.tasks.context.rotation import Rotation
from selftaught.tasks.joint_embedding.simclr import Example as Views
from selftaught.tasks.joint_embedding.simclr import SimCLR
from tests.two_processes import in_two_processes, join_group

NAMES = ("simclr", "rotation")


def make(name: str) -> tuple[PretextTask, Views | Rotated]:
    """A task without batch normalisation, and its example for the global batch of 8 images."""
    torch.manual_seed(0)
    encoder = build_encoder("timm:test_vit", size=32).double()
    images = torch.randint(0, 256, (8, 3, 32, 32), generator=generator("images"), dtype=torch.uint8)
    batch = Batch(index=torch.arange(8), inputs={"image": images})
    if name == "simclr":
        simclr = SimCLR(encoder, SimCLR.Config(), 32).double()
        return simclr, Views(simclr.pseudo_label(batch, generator("views")).views.double())
    rotation = Rotation(encoder, Rotation.Config(), 32).double()
    example = rotation.pseudo_label(batch, generator("views"))
    return rotation, Rotated(example.images.double(), example.angle)


def share(example: Views | Rotated, rank: int) -> Views | Rotated:
    """The half of a process: its images under every view or angle."""
    if isinstance(example, Views):
        return Views(torch.cat([v[4 * rank : 4 * rank + 4] for v in example.views.chunk(2)]))
    images = torch.cat([v[4 * rank : 4 * rank + 4] for v in example.images.chunk(4)])
    return Rotated(images, example.angle.view(4, 8)[:, :4].flatten())


def work(rank: int, port: int, out: str) -> None:
    join_group(rank, port)
    found = {}
    for name in NAMES:
        task, example = make(name)
        model = DistributedDataParallel(task)
        part = share(example, rank)
        loss = task.loss(model(part), part)["loss"]
        loss.backward()
        mean = loss.detach().clone()
        dist.all_reduce(mean)
        found[name] = {"loss": mean / 2, "grads": {n: p.grad for n, p in task.named_parameters()}}
    if rank == 0:
        torch.save(found, out)
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def of_two(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What two processes found, for every task."""
    out = tmp_path_factory.mktemp("two") / "two.pt"
    in_two_processes(work, str(out))
    found: dict[str, dict[str, Any]] = torch.load(out, weights_only=True)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_two_processes_give_the_loss_and_gradient_of_one(name: str, of_two: dict[str, dict[str, Any]]) -> None:
    task, example = make(name)
    loss = task.loss(task(example), example)["loss"]
    loss.backward()
    assert torch.allclose(of_two[name]["loss"], loss.detach(), rtol=1e-5)
    for key, parameter in task.named_parameters():
        assert parameter.grad is not None
        assert torch.allclose(of_two[name]["grads"][key], parameter.grad, rtol=1e-4, atol=1e-8), key
