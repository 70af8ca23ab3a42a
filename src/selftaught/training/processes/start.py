"""How the processes of a run are started, and what is refused before they meet: they would wait for ever."""

from __future__ import annotations

import os

from selftaught.core.errors import launched
from selftaught.core.settings.groups import MachineSettings


def check_processes(machine: MachineSettings) -> None:
    """Refuse a run of other processes than torchrun or srun started: each would be a run of its own, or wait."""
    started = launched()
    if started is None or (started.world, started.nodes) == (machine.world, machine.num_nodes):
        if started is not None and started.by == "srun":
            _check_tasks(started.world)
        return
    what = f"{started.world} process" + ("es" if started.world > 1 else "")
    what += f" on {started.nodes} nodes" if started.nodes > 1 else ""
    asked = f"--devices is {machine.devices}" + (f" on {machine.num_nodes} nodes" if machine.num_nodes > 1 else "")
    give = f"--devices {started.world // started.nodes}" + (
        f" --num-nodes {started.nodes}" if started.nodes > 1 else ""
    )
    if started.by == "srun" and started.world < machine.world:
        give = f"srun --nodes {machine.num_nodes} --ntasks-per-node {machine.devices}"
    raise ValueError(f"{started.by} started {what}, {asked}; give {give}")


def check_alone(verb: str) -> None:
    """Refuse a verb that starts processes itself, and does more than to train, in each of several that were started."""
    started = launched()
    if started is not None and started.world > 1:
        raise ValueError(f"{verb} starts its processes itself; run it without {started.by}, by --devices N")


def check_nodes(machine: MachineSettings) -> None:
    """Raise a `ValueError` for a run on several nodes without the address of the first."""
    if machine.num_nodes < 2:
        return
    missing = [name for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK") if not os.environ.get(name)]
    last = machine.num_nodes - 1
    if missing:
        raise ValueError(
            f"--num-nodes {machine.num_nodes} needs {', '.join(missing)} in the environment of each node: address and "
            f"a free port of the first node, and numbers from 0 to {last}; set them, or start with torchrun or srun"
        )
    rank = os.environ["NODE_RANK"]
    if not rank.isdigit() or int(rank) > last:
        raise ValueError(
            f"NODE_RANK is {rank}, but the {machine.num_nodes} nodes of --num-nodes have numbers from 0 to {last}; "
            "set another, or raise --num-nodes"
        )


def _check_tasks(count: int) -> None:
    if count > 1 and "SLURM_NTASKS_PER_NODE" not in os.environ:
        raise ValueError(f"srun does not say how its {count} tasks are spread; give srun --ntasks-per-node")
