"""The parts of the detector: maps of known stride, anchors, candidates, what is ignored, batches of images."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from selftaught.encoders.base import Encoder
from selftaught.encoders.build import build_encoder
from selftaught.evaluation.dense.detector import Detector, build_detector
from selftaught.evaluation.dense.stage_maps import (
    read_stages,
)
from tests.evaluation.drawn_boxes import TinyEncoder


def tiny_detector(encoder: Encoder | None = None, **changes: Any) -> Detector:
    encoder = encoder or TinyEncoder().eval()
    settings: dict[str, Any] = {
        "num_classes": 2,
        "neck": "fpn",
        "stage": None,
        "is_frozen": False,
        "size": 64,
        "channels": 16,
        "hidden": 16,
        "rois": 16,
        "proposals": 20,
        "precision": "32-true",
        "seed": 0,
    }
    return build_detector(encoder, read_stages(encoder), **{**settings, **changes})


def test_no_candidate_of_an_ignored_region_teaches_the_boxes() -> None:
    heads = tiny_detector().roi_heads
    proposals = [torch.tensor([[30.0, 10, 50, 30], [0, 0, 20, 20], [35, 15, 60, 40]])]
    target = {"boxes": torch.tensor([[0.0, 0, 18, 18]]), "labels": torch.tensor([2])}
    region = torch.tensor([[28.0, 8, 70, 70]])
    kept, _, labels, _ = heads.select_training_samples(list(proposals), [target | {"ignore": region}])
    assert kept[0].tolist() == [[0, 0, 20, 20], [0, 0, 18, 18]]
    assert labels[0].tolist() == [2, 2]
    kept, _, labels, _ = heads.select_training_samples(list(proposals), [target | {"ignore": torch.zeros(0, 4)}])
    assert len(kept[0]) == 4


def test_weights_are_drawn_by_the_seed() -> None:
    before = torch.get_rng_state()
    first, second, other = (tiny_detector(seed=seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert not torch.equal(first["roi_heads.box_head.head.fc6.weight"], other["roi_heads.box_head.head.fc6.weight"])


@pytest.mark.parametrize("neck", ["fpn", "c4"])
def test_losses_reach_what_is_trained_and_nothing_else(neck: str) -> None:
    encoder = build_encoder("resnet18", size=64).eval()
    detector = tiny_detector(encoder, neck=neck, is_frozen=True).train()
    assert not encoder.training
    target = {"boxes": torch.tensor([[4.0, 4, 30, 30]]), "labels": torch.tensor([1]), "ignore": torch.zeros(0, 4)}
    losses = detector.losses(torch.randn(1, 3, 64, 64), [(64, 64)], [target])
    assert sorted(losses) == ["loss_box_reg", "loss_classifier", "loss_objectness", "loss_rpn_box_reg"]
    torch.stack(list(losses.values())).sum().backward()
    trained = {name for name, p in detector.named_parameters() if p.requires_grad}
    assert {name for name, p in detector.named_parameters() if p.grad is not None} == trained
    assert not any(name.startswith("maps.") for name in trained)
    last = {name for name in trained if ".layers." in name}
    assert bool(last) == (neck == "c4")
    assert not any(".bn" in name for name in trained)
