"""Lightning Fabric on the devices asked for, and the one device of a verb that does not train."""

from __future__ import annotations

import torch
from lightning_fabric import Fabric

from selftaught.core.config import RunConfig
from selftaught.core.precision import fast_bf16
from selftaught.core.threads import remind_of_threads


def make_fabric(config: RunConfig, *, is_partly_used: bool) -> Fabric:
    """Lightning Fabric on the devices asked for.

    Args:
        config: as it was asked for.
        is_partly_used: whether a step may leave parameters without a gradient, which DDP must be told to expect.
    """
    remind_of_threads()
    accelerator = accelerator_of(config.machine.accelerator)
    precision = config.machine.precision
    if precision == "auto":
        precision = "bf16-mixed" if fast_bf16(accelerator) else "32-true"
    if accelerator == "cpu" and config.machine.devices > 1:
        torch.set_num_threads(max(1, torch.get_num_threads() // config.machine.devices))
    several = config.machine.world > 1
    strategy = "auto"
    if several:
        strategy = "ddp_find_unused_parameters_true" if is_partly_used else "ddp"
    return Fabric(
        accelerator=accelerator,
        devices=config.machine.devices,
        num_nodes=config.machine.num_nodes,
        precision=precision,
        strategy=strategy if config.machine.strategy == "auto" else config.machine.strategy,
    )


def compute_device(accelerator: str) -> torch.device:
    """The one device that a verb computes on which does not train; no task is asked."""
    name = accelerator_of(accelerator)
    return torch.device(name, 0) if name == "cuda" else torch.device(name)


def accelerator_of(asked: str) -> str:
    """The accelerator asked for, with auto resolved; one that this machine has not is refused."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    found = [name for name, is_there in there.items() if is_there]
    if asked not in ("auto", *found):
        raise ValueError(f"--accelerator {asked} cannot be used on this machine; choose from auto, {', '.join(found)}")
    return found[0] if asked == "auto" else asked
