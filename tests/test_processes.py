"""Several processes: a refusal is one line of one process, and leaves nothing that stops the next run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch.distributed as dist

from selftaught.config import RunConfig
from selftaught.gather import is_distributed, of_world
from selftaught.train import train

DATA = "synthetic:N=48,side=32"
WORDS = f"pretrain {DATA} --task rotation --size 32 --batch-size 8 --steps 2 --precision 32-true".split()


def selftaught(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "selftaught", *WORDS, *words]
    return subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_a_refusal_with_two_devices_is_one_line_and_the_next_run_trains(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("mine")
    refused = selftaught("--out", str(tmp_path / "run"), "--devices", "2")
    assert refused.returncode == 2
    assert len(refused.stderr.strip().splitlines()) == 1, refused.stderr
    assert "holds other files" in refused.stderr
    settings = RunConfig(
        data=DATA, out=str(tmp_path / "run"), task="rotation", size=32, batch_size=8, steps=1, devices=2
    )
    before = dict(os.environ)
    with pytest.raises(ValueError, match="holds other files"):
        train(settings)
    assert dict(os.environ) == before
    assert not dist.is_initialized()


def test_torchrun_of_more_processes_than_devices_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    settings = RunConfig(data=DATA, out=str(tmp_path / "run"), task="rotation", size=32, batch_size=8, steps=1)
    with pytest.raises(ValueError, match=r"^torchrun started 2 processes, --devices is 1; give --devices 2$"):
        train(settings)
    assert not (tmp_path / "run").exists()


def test_a_run_of_one_process_gathers_nothing_beside_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    assert is_distributed()
    with of_world(1):
        assert not is_distributed()
    with of_world(2):
        assert is_distributed()
