"""The encoder that a run kept, and the same with random weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from selftaught.training.budget import length as budget
from selftaught.training.budget.timekeeping import Costs
from selftaught.training.checkpoint import load_checkpoint
from selftaught.training.encoder_of_run import load_encoder, random_encoder, read_config
from selftaught.training.train import train
from tests.training.budget.planned import SMALL as BUDGETED


def test_evaluation_uses_the_stem_that_was_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "measure", lambda *_, **__: Costs(step=1200.0, row=1e-4))
    run = train(BUDGETED.replace(out=str(tmp_path / "run"), stem="auto", budget="10m"))
    config = read_config(run)
    assert config.network.stem == "standard"
    assert random_encoder(config.network, 0).stem == load_encoder(run).stem == "standard"


def test_load_encoder_gives_the_trained_weights_back(finished: Path) -> None:
    encoder = load_encoder(finished)
    assert not encoder.training
    tensors, _ = load_checkpoint(finished / "checkpoints" / "last.safetensors")
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, tensors[f"task.encoder.{name}"])
    fresh = random_encoder(read_config(finished).network, 0)
    assert any(not torch.equal(a, b) for a, b in zip(fresh.parameters(), encoder.parameters(), strict=True))
    with pytest.raises(ValueError, match=r"unknown --part of .* 'audio_encoder'; did you mean encoder\?"):
        load_encoder(finished, part="audio_encoder")
    with pytest.raises(ValueError, match="is not a run folder"):
        load_encoder(finished / "nowhere")
