"""2 processes (gloo) give the loss and the gradient of 1 with the same global batch; split tensors become whole."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from selftaught.core.distributed import blocks_of, fill, part_like, shard, whole
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
WAYS = ("ddp", "fsdp")


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
    for way, name in itertools.product(WAYS, NAMES):
        task, example = make(name)
        model = DistributedDataParallel(task) if way == "ddp" else shard(task, init_device_mesh("cpu", (2,)))
        part = share(example, rank)
        loss = task.loss(model(part), part)["loss"]
        loss.backward()
        mean = loss.detach().clone()
        dist.all_reduce(mean)
        grads = {n: whole(p.grad) for n, p in task.named_parameters() if p.grad is not None}
        found[f"{way} {name}"] = {"loss": mean / 2, "grads": grads}
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
@pytest.mark.parametrize("way", WAYS)
def test_two_processes_give_the_loss_and_gradient_of_one(
    way: str, name: str, of_two: dict[str, dict[str, Any]]
) -> None:
    task, example = make(name)
    found = of_two[f"{way} {name}"]
    loss = task.loss(task(example), example)["loss"]
    loss.backward()
    assert torch.allclose(found["loss"], loss.detach(), rtol=1e-5)
    for key, parameter in task.named_parameters():
        assert parameter.grad is not None
        assert torch.allclose(found["grads"][key], parameter.grad, rtol=1e-4, atol=1e-8), key


def test_blocks_are_gathered_by_themselves() -> None:
    resnet = build_encoder("resnet18", size=32)
    names = {module: name for name, module in resnet.named_modules()}
    assert [names[block] for block in blocks_of(resnet)] == [f"net.layer{i}.{j}" for i in range(1, 5) for j in (0, 1)]
    vit = build_encoder("timm:test_vit", size=32)
    names = {module: name for name, module in vit.named_modules()}
    assert [names[block] for block in blocks_of(vit)] == [f"net.blocks.{i}" for i in range(len(vit.stages))]
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Sequential(nn.Linear(2, 2)))
    assert blocks_of(plain) == [plain.get_submodule(name) for name in ("0", "2.0")]

    class Pair(nn.Module):
        """No sequence."""

        def __init__(self) -> None:
            super().__init__()
            self.first, self.bend, self.second = nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2)

    pair = Pair()
    assert blocks_of(pair) == [pair.first, pair.second]


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[None]:
    """A group of this process alone."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("one_process")
def test_tensors_become_parts_and_whole_again() -> None:
    mesh = init_device_mesh("cpu", (1,))
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    copy = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    x = torch.randn(4, 2)
    shard(network, mesh)
    assert all(isinstance(p, DTensor) for p in network.parameters())
    network(x).square().sum().backward()
    fill(copy, network)
    for name, value in copy.state_dict().items():
        assert type(value) is torch.Tensor
        changes = name.startswith("1.running") or name.endswith("tracked")
        assert torch.equal(value, before[name]) != changes, name
    weight = next(network.parameters())
    assert isinstance(weight, DTensor)
    part = part_like(torch.ones(3, 2), weight)
    assert isinstance(part, DTensor)
    assert part.placements == weight.placements
    assert whole(part).tolist() == [[1, 1]] * 3
    step = torch.tensor(4.0)
    assert part_like(step, weight) is step
    assert whole(step) is step
