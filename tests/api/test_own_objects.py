"""A data set and an encoder of Python, from pretraining to evaluation and vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import selftaught
from selftaught.core.objects import registry
from tests.data.small_runs import QUICK


class Squares:
    """Bright and dark squares, with their class."""

    classes = ("dark", "bright")

    def __len__(self) -> int:
        return 24

    def __getitem__(self, row: int) -> tuple[Any, int]:
        noise = torch.rand(3, 40, 40, generator=torch.Generator().manual_seed(row))
        return noise * (0.3 + 0.7 * (row % 2)), row % 2


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.last = nn.Conv2d(8, 16, 3, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.last(self.conv(x))
        return found


def test_objects_of_python_go_all_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, run = Squares(), tmp_path / "run"
    selftaught.pretrain(data, out=run, **{**QUICK, "encoder": Small()})
    found = selftaught.evaluate(run, data, probe="knn", folds=2)
    assert found["probe"] == "knn"
    selftaught.embed(run, data, out=tmp_path / "a.npy")
    assert np.load(tmp_path / "a.npy").shape == (24, 16)
    monkeypatch.setattr(registry, "_known", {})  # as in another process
    with pytest.raises(ValueError, match=r"call selftaught.use_encoder"):
        selftaught.load_encoder(run)
    selftaught.use_encoder(Small())
    selftaught.export(run, out=tmp_path / "a.safetensors")
    assert selftaught.load_encoder(run).stages == ("conv", "last", "features")
