"""An encoder with its weights, by what a user writes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from selftaught.core.config import RunConfig
from selftaught.core.own_folder import write_json
from selftaught.encoders.build import build_encoder
from selftaught.encoders.weights.given import open_given, parts_of_text
from selftaught.encoders.weights.load import network_of

SMALL = "timm:test_resnet"


def test_what_a_text_says() -> None:
    for text, expected in (
        ("resnet18:w.pth", ("resnet18", "w.pth", "")),
        (f"{SMALL}:a/w.pth.tar#teacher", (SMALL, "a/w.pth.tar", "teacher")),
        ("timm:resnet18.a1_in1k", ("timm:resnet18.a1_in1k", "timm", "")),
        ("torchvision:resnet18", ("resnet18", "torchvision", "")),
    ):
        found = parts_of_text(text)
        assert found is not None
        assert (found.encoder, found.file, found.choice) == expected
    assert [parts_of_text(text) for text in ("runs/a", "resnet18", "w.pth", "timm")] == [None] * 4


def test_an_encoder_of_a_file_and_of_a_run(tmp_path: Path) -> None:
    state = {k: torch.full_like(v, 2) for k, v in network_of(build_encoder(SMALL, size=32))[0].state_dict().items()}
    torch.save({"model": state}, tmp_path / "w.pth")
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    write_json(run / "config.json", RunConfig.of(data="demo", out="x", encoder=SMALL, stem="standard").to_dict())
    save_file({f"task.encoder.net.{k}": v for k, v in state.items()}, run / "checkpoints" / "last.safetensors")
    before = torch.get_rng_state()
    for text in (f"{SMALL}:{tmp_path / 'w.pth'}", str(run)):
        with torch.device("meta"):
            given = open_given(text, size=48)
        assert (given.encoder.name, given.encoder.training) == (SMALL, False)
        assert all(bool((value == 2).all()) for value in given.encoder.state_dict().values())
    assert torch.equal(torch.get_rng_state(), before)


def test_what_is_neither_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^resnet18 is neither a run folder nor an encoder with weights; give "):
        open_given("resnet18", size=32)
    with pytest.raises(ValueError, match=r"^unknown encoder 'resnt18'; did you mean resnet18"):
        open_given("resnt18:gone.pth", size=32)
