"""Tensors of a file, whatever is around them; nothing in it is run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from selftaught.encoders.weights.content import read_content


class Trap:
    """Opens a file for writing where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return open, (str(self.path), "w")


def test_every_dictionary_with_tensors_is_a_table(tmp_path: Path) -> None:
    one = torch.ones(2)
    torch.save(
        {"a": one, "b": {"c": {"x.y": one}, "d": 3, 5: {"e": one}}, "args": argparse.Namespace()}, tmp_path / "w.pth"
    )
    content = read_content(tmp_path / "w.pth")
    assert {place: list(table) for place, table in content.tables.items()} == {"": ["a"], "b.c": ["x.y"]}
    assert content.others == ("argparse.Namespace",)
    save_file({"a": one}, tmp_path / "w.safetensors")
    assert list(read_content(tmp_path / "w.safetensors").tables[""]) == ["a"]


def test_files_of_torch_before_1_6_are_read(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": torch.ones(2)}}, tmp_path / "w.pth", _use_new_zipfile_serialization=False)
    assert list(read_content(tmp_path / "w.pth").tables) == ["state_dict"]
    torch.save({"a": torch.ones(2), "b": Path("x")}, tmp_path / "w.pth", _use_new_zipfile_serialization=False)
    with pytest.raises(ValueError, match=r"hold more than tensors: pathlib\S*, which is not read"):
        read_content(tmp_path / "w.pth")


def test_objects_beside_the_weights_are_neither_read_nor_run(tmp_path: Path) -> None:
    allowed, path = torch.serialization.get_safe_globals(), tmp_path / "w.ckpt"
    torch.save({"state_dict": {"a": torch.ones(2)}, "hyper": [Trap(tmp_path / "ran"), nn.Linear(1, 1)]}, path)
    assert list(read_content(path).tables) == ["state_dict"]
    assert torch.serialization.get_safe_globals() == allowed
    torch.save({"net": Trap(tmp_path / "ran")}, path)
    with pytest.raises(ValueError, match="hold more than tensors: "):
        read_content(path)
    assert not (tmp_path / "ran").exists()


def test_a_whole_model_that_was_pickled_is_refused(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"hold more than tensors: .*; save the tensors alone: "):
        read_content(tmp_path / "w.pth")


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("w.pth", b"PK nothing", "are damaged or hold more than tensors"),
        ("w.safetensors", b"nothing", "are damaged or hold more than tensors"),
        ("w.pth", b"", "are damaged or hold more than tensors"),
        ("w.pth", None, "cannot be read: No such file"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(name: str, data: bytes | None, sentence: str, tmp_path: Path) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=f"^weights .*{name} {sentence}"):
        read_content(tmp_path / name)


def test_a_file_without_names_is_refused(tmp_path: Path) -> None:
    torch.save([torch.ones(2)], tmp_path / "w.pth")
    with pytest.raises(ValueError, match="hold no tensors by name; save the state dict"):
        read_content(tmp_path / "w.pth")
