"""safetensors files of our own writer, read by the library's reader."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import safetensors
import torch
from safetensors.torch import load_file

from selftaught.core.tensor_file import write_tensors


def test_the_library_reads_every_dtype_and_shape(tmp_path: Path) -> None:
    floats = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
    kinds = (*floats, torch.int64, torch.int32, torch.int16, torch.int8)
    tensors = {str(kind): torch.arange(6).view(2, 3).to(kind) for kind in (*kinds, torch.uint8, torch.bool)}
    tensors |= {"scalar": torch.tensor(2.5), "empty": torch.zeros(0, 4)}
    write_tensors(tmp_path / "a.safetensors", tensors, {"step": "3"})
    found = load_file(tmp_path / "a.safetensors")
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)
    with safetensors.safe_open(tmp_path / "a.safetensors", "pt") as file:
        assert file.metadata() == {"step": "3"}


def test_tensors_begin_at_multiples_of_their_elements_size_and_metadata_come_first(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    tensors = {"a": torch.ones(3, dtype=torch.uint8), "b": torch.ones(1), "c": torch.ones(1).half()}
    write_tensors(path, tensors, {"k": "v"})
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    assert length % 8 == 0
    assert list(header) == ["__metadata__", "b", "c", "a"]
    assert [header[name]["data_offsets"] for name in "bca"] == [[0, 4], [4, 6], [6, 9]]
    assert len(data) == 8 + length + 9


def test_a_dtype_that_the_format_has_not_is_refused_before_the_file_is_begun(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"^tensor z is torch.complex64, which a safetensors file cannot hold$"):
        write_tensors(tmp_path / "a", {"z": torch.zeros(1, dtype=torch.complex64)}, {})
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
def test_the_file_follows_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_tensors(tmp_path / "a", {"a": torch.zeros(1)}, {})
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644
