"""Processes that torchrun, srun or people on several nodes start: what is refused before they meet."""

from __future__ import annotations

import pytest

from selftaught.core.settings.groups import MachineSettings
from selftaught.training.processes.start import check_alone, check_nodes, check_processes

TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "RANK": "0", "LOCAL_RANK": "0"}
SRUN = {"SLURM_JOB_NAME": "job", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
GIVEN = ("LOCAL_RANK", "RANK", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE")


def say(monkeypatch: pytest.MonkeyPatch, **environment: str) -> None:
    for name in (*GIVEN, *TORCHRUN, *SRUN, "SLURM_NTASKS", "SLURM_NNODES", "SLURM_NTASKS_PER_NODE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("devices", "nodes", "environment", "sentence"),
    [
        (1, 1, {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}, "2 processes, --devices is 1; give --devices 2"),
        (2, 1, {"WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"}, "1 process, --devices is 2; give --devices 1"),
        (
            4, 1, {"WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"},
            "4 processes on 2 nodes, --devices is 4; give --devices 2 --num-nodes 2",
        ),
        (
            2, 2, {"WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"},
            "8 processes on 2 nodes, --devices is 2 on 2 nodes; give --devices 4 --num-nodes 2",
        ),
    ],
)  # fmt: skip
def test_torchrun_of_other_processes_is_refused(
    devices: int, nodes: int, environment: dict[str, str], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(monkeypatch, **TORCHRUN, **environment)
    with pytest.raises(ValueError, match=f"^torchrun started {sentence}$"):
        check_processes(MachineSettings(devices=devices, num_nodes=nodes))


@pytest.mark.parametrize(
    ("devices", "nodes", "tasks", "sentence"),
    [
        (4, 1, ("1", "1", "1"), "srun started 1 process, --devices is 4; give srun --nodes 1 --ntasks-per-node 4"),
        (2, 2, ("2", "1", "2"), "--devices is 2 on 2 nodes; give srun --nodes 2 --ntasks-per-node 2"),
        (1, 1, ("4", "2", "2"), "srun started 4 processes on 2 nodes, --devices is 1; give --devices 2 --num-nodes 2"),
        (2, 1, ("2", "1", ""), "srun does not say how its 2 tasks are spread; give srun --ntasks-per-node"),
    ],
)
def test_srun_of_other_processes_is_refused(
    devices: int, nodes: int, tasks: tuple[str, str, str], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(monkeypatch, **SRUN, SLURM_NTASKS=tasks[0], SLURM_NNODES=tasks[1])
    if tasks[2]:
        monkeypatch.setenv("SLURM_NTASKS_PER_NODE", tasks[2])
    with pytest.raises(ValueError, match=sentence):
        check_processes(MachineSettings(devices=devices, num_nodes=nodes))


def test_as_many_processes_as_devices_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = MachineSettings(devices=2, num_nodes=2)
    say(monkeypatch, **TORCHRUN, WORLD_SIZE="4", LOCAL_WORLD_SIZE="2")
    check_processes(machine)
    say(monkeypatch, **SRUN, SLURM_NTASKS="4", SLURM_NNODES="2", SLURM_NTASKS_PER_NODE="2")
    check_processes(machine)
    say(monkeypatch, **SRUN, SLURM_NTASKS="1", SLURM_NNODES="1")
    check_processes(MachineSettings())
    check_alone("compare")
    say(monkeypatch, **SRUN | {"SLURM_JOB_NAME": "interactive"}, SLURM_NTASKS="1")
    check_processes(machine)  # a shell, from which the run starts its processes itself
    say(monkeypatch)
    check_processes(machine)


def test_a_verb_that_starts_processes_is_refused_in_each_of_several(monkeypatch: pytest.MonkeyPatch) -> None:
    for by, environment in (
        ("torchrun", {**TORCHRUN, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}),
        ("srun", {**SRUN, "SLURM_NTASKS": "2"}),
    ):
        say(monkeypatch, **environment)
        with pytest.raises(ValueError, match=f"compare starts its processes itself; run it without {by}"):
            check_alone("compare")


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({}, "--num-nodes 2 needs MASTER_ADDR, MASTER_PORT, NODE_RANK in the environment of each node"),
        ({"MASTER_ADDR": "a", "MASTER_PORT": "1"}, "needs NODE_RANK .* numbers from 0 to 1; set them, or start with"),
        (
            {"MASTER_ADDR": "a", "MASTER_PORT": "1", "NODE_RANK": "2"},
            "NODE_RANK is 2, but the 2 nodes of --num-nodes have numbers from 0 to 1; set another, or raise --num-nod",
        ),
    ],
)
def test_nodes_that_cannot_meet_are_refused(
    environment: dict[str, str], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(monkeypatch, **environment)
    with pytest.raises(ValueError, match=sentence):
        check_nodes(MachineSettings(num_nodes=2))
    check_nodes(MachineSettings())
    say(monkeypatch, MASTER_ADDR="a", MASTER_PORT="1", NODE_RANK="1")
    check_nodes(MachineSettings(num_nodes=2))
