"""Folders of vectors: written by one process or two to the same bit, gone on with, never mixed with others."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from selftaught.evaluation.vectors.folder import FACTS, VectorFolder
from selftaught.evaluation.vectors.work import Packed
from selftaught.evaluation.vectors.write import Order, begin, embed_folder, embed_share, facts_of
from tests.evaluation.vectors.small_subject import write_images, write_weights
from tests.two_processes import free_port


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, weights, and vectors of the data in four files."""
    folder = tmp_path_factory.mktemp("place")
    write_images(folder / "data", 30)
    write_weights(folder / "w.safetensors")
    embed_folder(order(folder, "whole"))
    return folder


def order(place: Path, out: str, **asked: Any) -> Order:
    run = f"timm:test_resnet:{place / 'w.safetensors'}"
    usual: dict[str, Any] = {"run": run, "data": str(place / "data"), "size": 32, "shard_size": 8}
    return Order(out=str(place / out), **usual | asked)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.parquet"))}


def test_a_killed_command_goes_on_with_the_files_that_are_left(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, shard = files(place / "whole"), Packed.shard
    done: list[int] = []

    def killed(self: Packed, number: int, device: Any) -> Any:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(number)
        return shard(self, number, device)

    with monkeypatch.context() as patch:
        patch.setattr(Packed, "shard", killed)
        with pytest.raises(KeyboardInterrupt):
            embed_folder(order(place, "killed"))
    assert len(files(place / "killed")) == 2
    with pytest.raises(ValueError, match=r"lacks 3 of 5 files"):
        VectorFolder(place / "killed")
    told = embed_folder(order(place, "killed"))
    assert told == {"out": str(place / "killed"), "files": 5, "samples": 30, "features": 96, "skipped": 0}
    assert "2 of 5 files of vectors are there already" in capsys.readouterr().err
    assert files(place / "killed") == whole


def test_the_shares_of_processes_are_the_whole(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As torchrun starts them, on two nodes; the first one to end says how much is left."""
    whole = files(place / "whole")
    for name, value in {"TORCHELASTIC_RUN_ID": "a", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "1"}.items():
        monkeypatch.setenv(name, value)
    told = []
    for rank in "01":
        monkeypatch.setenv("RANK", rank)
        told.append(embed_folder(order(place, "shares")))
    assert told[0]["left"] == 2
    assert told[1]["samples"] == 30
    assert files(place / "shares") == whole
    with pytest.raises(ValueError, match="--devices 2 starts processes, and torchrun has started 2 already; leave"):
        embed_folder(order(place, "shares"), devices=2)
    with pytest.raises(ValueError, match="--overwrite is not for the processes that torchrun starts"):
        embed_folder(order(place, "shares"), overwrite=True)


def test_a_further_process_writes_its_share(place: Path) -> None:
    whole = files(place / "whole")
    shutil.copytree(place / "whole", place / "half")
    for path in (place / "half").glob("*.parquet"):
        path.unlink()
    asked = order(place, "half")
    embed_share(vars(asked), rank=1, world=2)
    assert files(place / "half").keys() == {"vectors-00001.parquet", "vectors-00003.parquet"}
    embed_share(vars(asked), rank=0, world=2)
    assert files(place / "half") == whole


@pytest.mark.slow  # a process that imports torch
def test_two_processes_of_a_command_write_the_same(place: Path) -> None:
    whole = files(place / "whole")
    embed_folder(order(place, "two"), devices=2)
    assert files(place / "two") == whole
    (place / "w.safetensors").rename(place / "moved")
    with pytest.raises(ValueError, match=r"w\.safetensors"):
        embed_folder(order(place, "three"), devices=2)
    (place / "moved").rename(place / "w.safetensors")


@pytest.mark.slow  # two nodes of a process each, which import torch
def test_two_nodes_of_torchrun_write_the_same(place: Path) -> None:
    asked = order(place, "nodes")
    command = ["-m", "selftaught", "embed", asked.run, asked.data, "--out", asked.out, "--size", "32", "--shard-size"]
    port = str(free_port())
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1", "--node-rank",
             str(rank), "--master-addr", "127.0.0.1", "--master-port", port, *command, "8"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for rank in (0, 1)
    ]  # fmt: skip
    assert [process.wait(300) for process in started] == [0, 0]
    assert files(place / "nodes") == files(place / "whole")


def test_other_folders_are_left_alone(place: Path) -> None:
    (place / "mine").mkdir(exist_ok=True)
    (place / "mine" / "letter.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"mine holds other files \(such as letter.txt\); give a new or empty folder"):
        embed_folder(order(place, "mine"))
    with pytest.raises(ValueError, match="whole holds vectors of another --shard-size; give another folder, or --over"):
        embed_folder(order(place, "whole", shard_size=9))
    shutil.copytree(place / "whole", place / "again")
    (place / "again" / "note.txt").write_text("mine")
    assert embed_folder(order(place, "again", shard_size=16), overwrite=True)["files"] == 3
    assert {path.name for path in (place / "again").iterdir() if path.suffix != ".parquet"} == {
        ".selftaught", "_features.json", "note.txt"
    }  # fmt: skip
    with pytest.raises(ValueError, match=r"--devices must be in \[1, 1024\], got 0"):
        embed_folder(order(place, "new"), devices=0)


def test_vectors_of_unknown_origin_are_computed_again(place: Path) -> None:
    subject, work = order(place, "unknown").opened()
    shutil.copytree(place / "whole", place / "unknown")
    (place / "unknown" / FACTS).unlink()
    begin(place / "unknown", facts_of(subject, work, "all"))
    assert files(place / "unknown") == {}
