"""What lies before a stage, in networks of every kind."""

from __future__ import annotations

import pytest
import torch

from selftaught.core.randomness import generator
from selftaught.encoders.build import build_encoder
from selftaught.evaluation.fit.freezing import freeze_before, parameters_before, train_unfrozen


def names_before(encoder_name: str, stage: str) -> tuple[set[str], set[str]]:
    """Names of the parameters before the stage, and of all others."""
    encoder = build_encoder(encoder_name, size=32)
    before = {id(p) for p in parameters_before(encoder, stage, 32)}
    named = dict(encoder.named_parameters())
    return {n for n, p in named.items() if id(p) in before}, {n for n, p in named.items() if id(p) not in before}


def test_a_residual_network() -> None:
    before, after = names_before("resnet18", "layer3")
    parts = {name.split(".")[1] for name in before}
    assert parts == {"conv1", "bn1", "layer1", "layer2"}
    assert {name.split(".")[1] for name in after} == {"layer3", "layer4"}


def test_a_transformer_with_its_embeddings() -> None:
    before, after = names_before("timm:test_vit", "block3")
    assert {"net.cls_token", "net.pos_embed", "net.patch_embed.proj.weight"} <= before
    assert {name.split(".")[2] for name in before if "blocks" in name} == {"0", "1"}
    assert {name.split(".")[2] for name in after if "blocks" in name} == {"2", "3", "4", "5"}
    assert any("norm" in name for name in after)


def test_both_halves_of_a_split_encoder() -> None:
    before, after = names_before("split:alexnet", "conv2")
    assert {name.rpartition(".")[0] for name in before} == {"lightness.net.features.0", "colour.net.features.0"}
    assert len(before) == 4
    assert len(after) == 16


def test_nothing_comes_before_the_first_stage() -> None:
    assert names_before("timm:test_resnet", "act1")[0] == set()


@pytest.mark.parametrize("name", ["timm:test_resnet", "timm:test_vit"])
def test_looking_changes_nothing(name: str) -> None:
    encoder = build_encoder(name, size=32).train()
    state = {key: value.clone() for key, value in encoder.state_dict().items()}
    parameters_before(encoder, encoder.stages[-1], 32)
    assert all(torch.equal(state[key], value) for key, value in encoder.state_dict().items())
    assert encoder.training
    assert all(p.grad is None for p in encoder.parameters())


def test_frozen_stages_compute_the_same_after_a_pass_in_training_mode() -> None:
    encoder = build_encoder("timm:test_resnet", size=32)
    x = torch.randn(4, 3, 32, 32, generator=generator("freezing"))
    with torch.no_grad():
        known = encoder.eval().forward_stages(x)
    assert freeze_before(encoder, "layer3", 32) == ("act1", "layer1", "layer2")
    train_unfrozen(encoder)
    for _ in range(2):
        encoder(x).square().mean().backward()
    graded = {name.split(".")[1] for name, p in encoder.named_parameters() if p.grad is not None}
    assert graded == {"layer3", "layer4"}
    with torch.no_grad():
        found = encoder.eval().forward_stages(x)
    assert [name for name in encoder.stages if torch.equal(known[name], found[name])] == ["act1", "layer1", "layer2"]
