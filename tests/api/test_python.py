"""Functions that are no verbs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import selftaught
from selftaught.encoders.build import build_encoder
from selftaught.encoders.weights.load import network_of


def test_an_encoder_with_given_weights_is_a_module_for_evaluation(tmp_path: Path) -> None:
    made = build_encoder("timm:test_resnet", size=32)
    torch.save({"model": network_of(made)[0].state_dict()}, tmp_path / "w.pth")
    found = selftaught.load_encoder(f"timm:test_resnet:{tmp_path / 'w.pth'}", size=32)
    assert not found.training
    assert all(torch.equal(value, found.state_dict()[key]) for key, value in made.state_dict().items())
    with pytest.raises(ValueError, match=r"^--part is for a run, and .* are weights; leave it out$"):
        selftaught.load_encoder(f"timm:test_resnet:{tmp_path / 'w.pth'}", part="encoder")
