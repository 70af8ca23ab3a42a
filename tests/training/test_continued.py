"""Continued pretraining: a run that starts from given weights, which are in its checkpoint from then on."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from torch import Tensor

from selftaught.core.files import read_object
from selftaught.training.encoder_of_run import load_encoder
from selftaught.training.run_folder import OtherRun
from selftaught.training.train import train
from tests.training.small_run import config
from tests.training.stopping import stopped_before


def state(run: Path) -> dict[str, Tensor]:
    return load_encoder(run).state_dict()


@pytest.fixture
def file(finished: Path, tmp_path: Path) -> Path:
    """The encoder of a run as another program would save it."""
    weights = {f"module.encoder_q.{name.removeprefix('net.')}": value for name, value in state(finished).items()}
    torch.save({"state_dict": weights}, tmp_path / "moco.pth.tar")
    return tmp_path / "moco.pth.tar"


def test_a_run_starts_from_weights_and_says_so(finished: Path, file: Path, tmp_path: Path) -> None:
    """At no learning rate of the encoder its weights stay, and those of the head learn."""
    run = train(config(tmp_path / "a", weights=str(file), encoder_lr=0.0, steps=2, seed=3))
    begun, now = state(finished), state(run)
    learnt = [name for name in begun if "running" not in name and "num_batches" not in name]
    assert all(torch.equal(now[name], begun[name]) for name in learnt)
    settings = read_object(run / "config.json")
    assert settings["weights"] == str(file)
    assert settings["started"]["encoder"]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    [note] = read_object(run / "summary.json")["notes"]
    assert note.startswith(f"read {len(begun)} tensors of {file} under 'state_dict' without the prefix 'module.encoder")


def test_a_run_and_its_encoder_in_a_file_are_the_same_start(finished: Path, file: Path, tmp_path: Path) -> None:
    first, other = (
        state(train(config(tmp_path / name, steps=1, weights=weights)))
        for name, weights in (("file", str(file)), ("run", str(finished)))
    )
    assert all(torch.equal(value, other[name]) for name, value in first.items())


def test_a_run_is_resumed_exactly_without_the_file(file: Path, tmp_path: Path) -> None:
    asked = {"weights": str(file), "encoder_lr": 0.01, "steps": 4}
    whole = train(config(tmp_path / "whole", **asked))
    with stopped_before(3):
        train(config(tmp_path / "cut", **asked))
    with pytest.raises(OtherRun, match=r"weights was '.*', now 'other.pth'"):
        train(config(tmp_path / "cut", resume=True, **asked | {"weights": "other.pth"}))
    file.unlink()
    cut = train(config(tmp_path / "cut", resume=True, steps=4))
    assert all(torch.equal(value, state(cut)[name]) for name, value in state(whole).items())
    assert set(read_object(cut / "config.json")["started"]) == {"encoder"}
    with pytest.raises(ValueError, match=r"^weights .*: .*moco.pth.tar does not exist; give a file"):
        train(config(tmp_path / "new", resume=True, **asked))
