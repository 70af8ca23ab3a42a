"""What processes share: rows of all, with gradient, as cross-sample losses see the global batch; means; split tensors.

Parameters, gradients and optimizer state are split by torch's `fully_shard` (FSDP2).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

Row = TypeVar("Row")

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


class _Gather(torch.autograd.Function):
    """All-gather whose backward sums what every process says about this process's rows.

    DistributedDataParallel divides gradients by the number of processes; with a loss that is a mean over
    the *local* rows that gives the gradient of the global mean, so no further scaling is wanted here.
    """

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, rows: Tensor) -> Tensor:
        parts = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> Tensor:
        total = grads[0].contiguous()
        dist.all_reduce(total)
        size = total.shape[0] // dist.get_world_size()
        return total[dist.get_rank() * size : (dist.get_rank() + 1) * size]


_state = {"is_alone": False}


@contextmanager
def of_world(size: int) -> Iterator[None]:
    """Within it, nothing is gathered where the run has one process: the group of an earlier run may still be there."""
    before = _state["is_alone"]
    _state["is_alone"] = size == 1
    try:
        yield
    finally:
        _state["is_alone"] = before


def is_distributed() -> bool:
    """Whether several processes train together."""
    return not _state["is_alone"] and dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def gather_rows(rows: Tensor) -> Tensor:
    """(N, ...) of this process -> (world x N, ...) of all, in rank order; the gradient flows back."""
    if not is_distributed():
        return rows
    gathered: Tensor = _Gather.apply(rows)
    return gathered


def first_row(rows: Tensor) -> int:
    """Index of this process's first row in `gather_rows(rows)`."""
    return dist.get_rank() * rows.shape[0] if is_distributed() else 0


def gather_strided(rows: Tensor, count: int) -> Tensor:
    """Every process's rows rank, rank + world, ... of `count` -> all of them in order, without gradient."""
    if not is_distributed():
        return rows
    world = dist.get_world_size()
    each = -(-count // world)
    padded = torch.cat([rows, rows.new_zeros(each - len(rows), *rows.shape[1:])])
    parts = [torch.empty_like(padded) for _ in range(world)]
    dist.all_gather(parts, padded.contiguous())
    return torch.stack(parts, 1).flatten(0, 1)[:count]


def rows_of_all(rows: list[Row]) -> list[Row]:
    """The rows of this process, then what others have beside them; all processes call it."""
    if not is_distributed():
        return rows
    found: list[list[Row] | None] = [None] * dist.get_world_size()
    dist.all_gather_object(found, rows)
    own = set(rows)
    return rows + list(dict.fromkeys(row for part in found for row in part or () if row not in own))


def mean_over_processes(scalars: dict[str, Tensor], fabric: Fabric) -> dict[str, float]:
    """Scalars of this process -> their means over all processes, on the host."""
    names = sorted(scalars, key=lambda name: (name != "loss", name))
    means = fabric.all_reduce(torch.stack([scalars[name].detach().float() for name in names]), reduce_op="mean")
    assert isinstance(means, Tensor)
    return dict(zip(names, means.tolist(), strict=True))


def shard(network: nn.Module, mesh: DeviceMesh) -> nn.Module:
    """Split the parameters of `network` in place; those of a block are gathered only while it computes.

    The rest is gathered for the whole step, so that a loss may read them. Parameters must be contiguous.
    """
    for block in blocks_of(network):
        fully_shard(block, mesh=mesh)
    fully_shard(network, mesh=mesh)
    return network


def blocks_of(network: nn.Module) -> list[nn.Module]:
    """The outermost members of sequences and lists that have parts of their own; single layers where none has.

    There is one at least: FSDP of torch before 2.13 finds the end of a backward pass only by a module whose output is
    a tensor, which the prediction of a task need not be.
    """
    members = [module for module in _members(network) if _has_parameters(module)]
    blocks = [module for module in members if not _is_layer(module)]
    return (
        blocks or members or [module for module in network.modules() if _is_layer(module) and _has_parameters(module)]
    )


def _is_layer(module: nn.Module) -> bool:
    return next(module.children(), None) is None


def _has_parameters(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None


def _members(module: nn.Module) -> Iterator[nn.Module]:
    for child in module.children():
        if isinstance(module, _CONTAINERS) and not isinstance(child, _CONTAINERS):
            yield child
        else:
            yield from _members(child)


def whole(tensor: Tensor) -> Tensor:
    """A split tensor put together again; any other as it is. All processes call it, in the same order."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def part_like(tensor: Tensor, like: Tensor) -> Tensor:
    """The part of a whole tensor that this process holds of `like`; `tensor` itself where that is not split."""
    if not isinstance(like, DTensor) or tensor.shape != like.shape:
        return tensor
    found: DTensor = distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements, src_data_rank=None)
    return found


@torch.no_grad()
def fill(copy: nn.Module, network: nn.Module) -> None:
    """Give a plain copy of a split network its parameters and buffers; all processes call it."""
    for to, of in zip(_tensors(copy), _tensors(network), strict=True):
        to.copy_(whole(of))


def _tensors(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]


def same_buffers(network: nn.Module) -> None:
    """Give all processes the buffers of the first, as DistributedDataParallel does before each step."""
    for work in [dist.broadcast(buffer, 0, async_op=True) for buffer in network.buffers()]:
        if work is not None:
            work.wait()
