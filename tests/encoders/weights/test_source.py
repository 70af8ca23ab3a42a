"""Where weights come from: a file, a run, or what libraries publish."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from selftaught.core.config import RunConfig
from selftaught.core.own_folder import write_json
from selftaught.encoders.weights.source import find_weights


def test_a_file_with_the_part_that_is_meant(tmp_path: Path) -> None:
    torch.save({"teacher": {"a": torch.ones(2)}}, tmp_path / "w.pth")
    found = find_weights(f"{tmp_path / 'w.pth'}#teacher", "resnet18")
    assert (found.choice, list(found.content.tables)) == ("teacher", ["teacher"])
    assert found.sha256() == hashlib.sha256((tmp_path / "w.pth").read_bytes()).hexdigest()
    (tmp_path / "w.pth").rename(tmp_path / "w#1.pth")
    assert find_weights(str(tmp_path / "w#1.pth"), "resnet18").choice == ""


def test_an_encoder_of_a_run(tmp_path: Path) -> None:
    config = RunConfig.of(data="demo", out="x", encoder="resnet18", kept="teacher", encoders={"flow_encoder": "c3d"})
    write_json(tmp_path / "config.json", config.to_dict())
    with pytest.raises(ValueError, match="the run has no checkpoint yet; finish it first"):
        find_weights(str(tmp_path), "resnet18")
    names = {"task.encoder.a": 1, "task.teacher.a": 2, "task.teacher.b": 2, "task.flow_encoder.a": 3, "optimizer.x": 4}
    (tmp_path / "checkpoints").mkdir()
    tensors = {name: torch.full((2,), float(value)) for name, value in names.items()}
    save_file(tensors, tmp_path / "checkpoints" / "last.safetensors")
    for part, expected in (("", {"a": 2.0, "b": 2.0}), ("#encoder", {"a": 1.0}), ("#flow_encoder", {"a": 3.0})):
        table = find_weights(f"{tmp_path}{part}", "resnet18").content.tables[""]
        assert {name: float(value[0]) for name, value in table.items()} == expected
    with pytest.raises(ValueError, match=r"unknown encoder of the run .* 'flow'; "):
        find_weights(f"{tmp_path}#flow", "resnet18")


def test_what_is_neither_is_one_sentence(tmp_path: Path) -> None:
    for path, what in ((tmp_path / "no.pth", "does not exist"), (tmp_path, "is no run folder")):
        with pytest.raises(
            ValueError, match=f"^weights {path}: {path} {what}; give a file, a run folder, timm, torchvision or"
        ):
            find_weights(str(path), "resnet18")
