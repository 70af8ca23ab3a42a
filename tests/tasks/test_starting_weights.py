"""Encoders of a run that start from given weights: which, from where, and what is recorded."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from selftaught.core.config import RunConfig
from selftaught.core.objects.registry import name_of
from selftaught.encoders.build import build_encoder
from selftaught.encoders.weights.load import network_of
from selftaught.tasks.starting_weights import name_starts, read_starts, without_starts
from selftaught.training.setup import build_task, spec_for

SMALL = "timm:test_resnet"


def asked(**changes: Any) -> RunConfig:
    usual: dict[str, Any] = {
        "data": "demo",
        "out": "run",
        "task": "rotation",
        "encoder": SMALL,
        "size": 32,
        "batch_size": 8,
    }
    return RunConfig.of(**usual | changes)


def named(**changes: Any) -> RunConfig:
    return name_starts(asked(**changes), spec_for(asked(**changes)))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    state = network_of(build_encoder(SMALL, size=32))[0].state_dict()
    torch.save({"state_dict": {f"model.{k}": torch.full_like(v, 2) for k, v in state.items()}}, tmp_path / "w.pth")
    return tmp_path / "w.pth"


def test_weights_are_of_the_kept_encoder_and_architectures_become_plain() -> None:
    assert named().network.started == {}
    assert named(weights="w.pth").network.started == {"encoder": {"weights": "w.pth"}}
    spelled = named(encoder=f"{SMALL}:w.pth#teacher")
    assert (spelled.network.encoder, spelled.network.started["encoder"]) == (SMALL, {"weights": "w.pth#teacher"})
    both = named(task="rgb_flow", encoder="resnet18", encoders={"flow_encoder": "2ch:resnet18:f.pth"}, weights="a.pth")
    assert both.network.encoders == {"flow_encoder": "2ch:resnet18"}
    assert both.network.started == {"encoder": {"weights": "a.pth"}, "flow_encoder": {"weights": "f.pth"}}
    with pytest.raises(ValueError, match=r"^--weights a.pth and --encoder timm:test_resnet:b.pth both name weights"):
        named(encoder=f"{SMALL}:b.pth", weights="a.pth")


def test_the_file_and_its_hash_are_recorded_and_the_task_has_its_weights(file: Path) -> None:
    config = named(weights=str(file))
    starts, spec = read_starts(config, spec_for(config)), spec_for(config)
    entry = starts.config.network.started["encoder"]
    assert entry["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (entry["file"], entry["weights"]) == (str(file), str(file))
    assert starts.said == (entry["read"],)
    assert entry["read"].endswith("under 'state_dict' without the prefix 'model.'")
    task, fresh = build_task(spec, starts.config, starts), build_task(spec, starts.config)
    assert all(bool((value == 2).all()) for value in task.encoder.state_dict().values())
    own, other = ({k: v for k, v in t.state_dict().items() if not k.startswith("encoder")} for t in (task, fresh))
    assert own
    assert all(torch.equal(value, other[key]) for key, value in own.items())


def test_copies_in_a_task_start_from_the_weights_too(file: Path) -> None:
    config = named(task="moco", weights=str(file))
    spec = spec_for(config)
    task = build_task(spec, config, read_starts(config, spec))
    teacher = task.get_submodule("key_encoder").state_dict()
    assert all(bool((value == 2).all()) for value in teacher.values())


def test_the_stem_is_that_of_the_weights(tmp_path: Path) -> None:
    """At 32 pixels a new network would have the small one."""
    torch.save(network_of(build_encoder("resnet18", size=64))[0].state_dict(), tmp_path / "w.pth")
    config = named(encoder="resnet18", weights=str(tmp_path / "w.pth"))
    assert read_starts(config, spec_for(config)).config.network.stem == "standard"
    small = config.replace(stem="small")
    with pytest.raises(ValueError, match=r"stem small: the file has other shapes for conv1.weight"):
        read_starts(small, spec_for(small))


def test_what_is_wrong_is_one_sentence(tmp_path: Path) -> None:
    for config, sentence in (
        (named(weights=str(tmp_path / "no.pth")), r"^weights .*no.pth: .* does not exist; give a file, a run folder,"),
        (named(weights=str(tmp_path)), r"^weights .*: .* is no run folder; give a file"),
        (named(encoder_lr=0.1), r"^--encoder-lr 0.1 is for an encoder that starts from weights; give --weights"),
        (named(weights="torchvision"), r"^torchvision has no weights of encoder 'timm:test_resnet', which is one of"),
    ):
        with pytest.raises(ValueError, match=sentence):
            read_starts(config, spec_for(config))


def test_a_baseline_from_random_weights_has_none_of_it() -> None:
    config = without_starts(named(weights="w.pth", encoder_lr=0.1))
    assert config == asked()


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4))
        self.scale = nn.Parameter(torch.full((1,), 3.0))

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.scale * self.layers(x)
        return found


def module_of(task: Any) -> nn.Module:
    module: nn.Module = task.encoder.net.module
    return module


def test_a_module_of_the_users_own_starts_with_its_weights_and_stays_as_it_is() -> None:
    net = Net()
    net.get_buffer("layers.1.running_mean").fill_(5)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    config = named(encoder=name_of("module", net))
    spec = spec_for(config)
    module = module_of(build_task(spec, config, read_starts(config, spec)))
    torch.testing.assert_close(module.state_dict(), before, rtol=0, atol=0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    torch.testing.assert_close(net.state_dict(), before, rtol=0, atol=0)
    random = module_of(build_task(spec, config)).state_dict()
    assert not torch.equal(random["layers.0.weight"], before["layers.0.weight"])
