"""The files of examples/ run: two nodes on the loopback address learn, and embed, what one does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch

import selftaught
from selftaught.cli import main as cli
from selftaught.core.config import RunConfig
from selftaught.core.settings.groups import Strategy
from selftaught.training.checkpoint import load_checkpoint
from selftaught.training.train import train
from tests.evaluation.vectors.small_subject import write_images
from tests.two_processes import free_port

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
FILES = sorted(EXAMPLES.iterdir())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_examples_are_scripts(file: Path) -> None:
    subprocess.run(["bash", "-n", str(file)], check=True)


@pytest.mark.parametrize("name", ["pretrain", "embed"])
def test_the_jobs_give_flags_that_there_are(name: str) -> None:
    text = (EXAMPLES / f"{name}.sbatch").read_text().replace("\\\n", " ")
    command = next(line for line in text.splitlines() if line.startswith("srun"))
    verb = cli.verb_of(name)
    known = {f"--{option.name.replace('_', '-')}" for option in (*verb.flags, *verb.settings)}
    given = re.findall(r"--[a-z-]+", command.partition(f"selftaught {name}")[2])
    assert set(given) <= known


def two_nodes(*words: str) -> None:
    """Run a verb on two nodes of one process each, as the example starts them."""
    common = {"NODES": "2", "FIRST": "127.0.0.1", "PER_NODE": "1", "PORT": str(free_port()), "PYTHON": sys.executable}
    paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
    nodes = [
        subprocess.Popen(
            [str(EXAMPLES / "torchrun_node.sh"), *words],
            env={**os.environ, **common, "NODE_RANK": str(rank), "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        )
        for rank in (0, 1)
    ]
    assert [node.wait(600) for node in nodes] == [0, 0]


@pytest.mark.slow  # two nodes that import torch, four times
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_nodes_learn_what_one_does(tmp_path: Path, strategy: Strategy) -> None:
    """A vision transformer: its loss, the same after a stop, and the weights it exports."""
    data, run = write_images(tmp_path / "data", 24), tmp_path / "run"
    words = [
        "pretrain",
        str(data),
        "--task",
        "simclr",
        "--encoder",
        "timm:test_vit",
        "--size",
        "32",
        "--batch-size",
        "4",
    ]
    words += ["--accelerator", "cpu", "--precision", "32-true", "--strategy", strategy, "--log-every", "1"]
    two_nodes(*words, "--steps", "4", "--out", str(run))
    config = RunConfig.of(
        data=str(data), out=str(tmp_path / "one"), task="simclr", encoder="timm:test_vit", size=32, batch_size=4,
        accelerator="cpu", precision="32-true", steps=4, log_every=1, devices=2, strategy=strategy,
    )  # fmt: skip
    train(config)
    nodes, one = (load_checkpoint(folder / "checkpoints" / "last.safetensors")[0] for folder in (run, tmp_path / "one"))
    assert nodes.keys() == one.keys()
    assert all(torch.equal(nodes[name], one[name]) for name in nodes if name.startswith("task."))
    two_nodes(*words, "--steps", "6", "--resume", "--out", str(run))
    assert len((run / "metrics.csv").read_text().splitlines()) == 7
    selftaught.export(run, out=tmp_path / "weights.safetensors")
    timm.create_model("test_vit", img_size=32, patch_size=4, num_classes=0).load_state_dict(
        safetensors.torch.load_file(tmp_path / "weights.safetensors"), strict=False
    )


@pytest.mark.slow  # two nodes that import torch
def test_two_nodes_embed_what_one_process_does(tmp_path: Path) -> None:
    data, run = write_images(tmp_path / "data", 24), tmp_path / "run"
    common = {"encoder": "timm:test_vit", "size": 32, "batch_size": 4, "steps": 1, "accelerator": "cpu"}
    train(RunConfig.of(data=str(data), out=str(run), task="rotation", **common))  # type: ignore[arg-type]
    two_nodes("embed", str(run), str(data), "--shard-size", "4", "--out", str(tmp_path / "nodes"))
    selftaught.embed(run, data, out=tmp_path / "one", shard_size=4)
    found = [{path.name: path.read_bytes() for path in (tmp_path / out).glob("*.parquet")} for out in ("nodes", "one")]
    assert len(found[0]) == 7
    assert found[0] == found[1]
