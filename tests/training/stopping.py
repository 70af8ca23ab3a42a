"""Runs that end in the midst, and whether two runs are the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import Tensor

from selftaught.data.batch import Batch
from selftaught.training.checkpoint import load_checkpoint
from selftaught.training.step import Training


class Stop(Exception):  # noqa: N818
    """Ends a training as a crash does."""


@contextmanager
def stopped_before(step: int) -> Iterator[None]:
    """A block that trains and ends before this step, counted from 0, which it must reach."""
    original = Training.step

    def stopping(self: Training, number: int, batch: Batch) -> dict[str, Tensor]:
        if number == step:
            raise Stop
        return original(self, number, batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Training, "step", stopping)
        with pytest.raises(Stop):
            yield


def assert_same_run(one: Path, other: Path, *files: str) -> None:
    """Of two run folders the last checkpoint and these files are equal to the bit."""
    first, second = (load_checkpoint(run / "checkpoints" / "last.safetensors") for run in (one, other))
    assert first[0].keys() == second[0].keys()
    assert [name for name in first[0] if not torch.equal(first[0][name], second[0][name])] == []
    assert first[1]["step"] == second[1]["step"]
    for name in files:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
