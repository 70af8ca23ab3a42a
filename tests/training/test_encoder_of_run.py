"""The encoder that a run kept, and the same with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import selftaught
from selftaught.core.settings.groups import NetworkSettings
from selftaught.training.budget import length as budget
from selftaught.training.budget.timekeeping import Costs
from selftaught.training.checkpoint import load_checkpoint
from selftaught.training.encoder_of_run import load_encoder, parts_of, random_encoder, read_config
from selftaught.training.train import train
from tests.conftest import WriteVideo
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


def test_the_network_of_images_inside_an_encoder_of_clips_is_a_part(tmp_path: Path, write_video: WriteVideo) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    for i in range(5):
        write_video(tmp_path / "data" / f"{i}.mp4", np.roll(frames, i, 1))
    run, network = tmp_path / "run", "lstm:timm:test_resnet"
    length: dict[str, Any] = {"steps": 1, "batch_size": 2, "task_settings": {"frames": 3}, "held_out": 0.4}
    selftaught.pretrain(tmp_path / "data", task="clip_rotation", out=run, encoder=network, size=16, **length)
    whole, image = load_encoder(run), load_encoder(run, part="image")
    assert (whole.kind, image.kind, image.name) == ("video", "image", "timm:test_resnet")
    assert whole.clip_seen == {"frames": 3, "stride": 1}
    inside = whole.get_submodule("image").state_dict()
    assert all(torch.equal(inside[name], value) for name, value in image.state_dict().items())
    assert load_encoder(run, part="encoder.image").name == image.name
    assert random_encoder(read_config(run).network, 0, part="encoder.image").kind == "image"
    with pytest.raises(ValueError, match=r"unknown --part of .* 'imag'; did you mean image\? Known: encoder, image"):
        load_encoder(run, part="imag")


def test_streams_are_parts() -> None:
    network = NetworkSettings(encoder="twostream4:alexnet", size=32)
    expected = {"image": "alexnet", "flow": "flow4:alexnet", "flow.image": "8ch:alexnet"}
    inside = {f"encoder.{name}": architecture for name, architecture in expected.items()}
    assert parts_of(network) == {"encoder": "twostream4:alexnet"} | inside
