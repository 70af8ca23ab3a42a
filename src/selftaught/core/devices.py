"""Lightning Fabric on the devices asked for, and the one device of a verb that does not train."""

from __future__ import annotations

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.model_parallel import ModelParallelStrategy
from lightning_fabric.strategies.strategy import Strategy
from torch import nn
from torch.distributed.device_mesh import DeviceMesh

from selftaught.core.distributed import shard
from selftaught.core.precision import precision_of
from selftaught.core.settings.groups import MachineSettings
from selftaught.core.threads import remind_of_threads


def make_fabric(machine: MachineSettings, *, is_partly_used: bool) -> Fabric:
    """Lightning Fabric on the devices asked for.

    Args:
        machine: as it was asked for.
        is_partly_used: whether a step may leave parameters without a gradient, which DDP must expect.
    """
    remind_of_threads()
    accelerator = accelerator_of(machine.accelerator)
    if accelerator == "cpu" and machine.devices > 1:
        torch.set_num_threads(max(1, torch.get_num_threads() // machine.devices))
    several = machine.world > 1
    strategy: str | Strategy = "auto"
    if machine.is_sharded:
        strategy = sharding_strategy(machine)
    elif several:
        strategy = "ddp_find_unused_parameters_true" if is_partly_used else "ddp"
    elif machine.strategy == "ddp":
        strategy = "ddp"
    return Fabric(
        accelerator=accelerator,
        devices=machine.devices,
        num_nodes=machine.num_nodes,
        precision=precision_of(machine.precision, torch.device(accelerator)),
        strategy=strategy,
    )


def check_sharding(machine: MachineSettings) -> None:
    """Refuse a sharded run on devices, or in a precision, for which there is none."""
    name = machine.strategy
    if not machine.is_sharded:
        return
    if name == "fsdp" and machine.world < 2:
        raise ValueError("--strategy fsdp splits a run over several devices, got 1; give --devices 2 or more")
    if name == "hsdp" and min(machine.devices, machine.num_nodes) < 2:
        raise ValueError(
            f"--strategy hsdp splits over the devices of each node and copies between nodes, got {machine.devices} "
            f"devices on {machine.num_nodes} nodes; give at least 2 of both, or --strategy fsdp"
        )
    if machine.precision == "16-mixed":
        raise ValueError(f"--strategy {name} cannot compute in 16-mixed; give --precision bf16-mixed or 32-true")


def sharding_strategy(machine: MachineSettings) -> ModelParallelStrategy:
    """Fabric's strategy: fsdp splits over all processes, hsdp over those of a node, with a copy on each node."""
    is_hybrid = machine.strategy == "hsdp"

    def parallelize(network: nn.Module, mesh: DeviceMesh) -> nn.Module:
        return shard(network, mesh if is_hybrid else mesh["data_parallel"])

    return ModelParallelStrategy(
        parallelize,
        data_parallel_size=machine.num_nodes if is_hybrid else machine.world,
        tensor_parallel_size=machine.devices if is_hybrid else 1,
    )


def compute_device(accelerator: str) -> torch.device:
    """The one device of a verb that does not train."""
    name = accelerator_of(accelerator)
    return torch.device(name, 0) if name == "cuda" else torch.device(name)


def accelerator_of(asked: str) -> str:
    """The accelerator asked for, with auto resolved; one that this machine has not is refused."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    found = [name for name, is_there in there.items() if is_there]
    if asked not in ("auto", *found):
        raise ValueError(f"--accelerator {asked} cannot be used on this machine; choose from auto, {', '.join(found)}")
    return found[0] if asked == "auto" else asked
