"""Reading stages by hooks: leaves nothing behind, and works wherever a module works."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from selftaught.encoders.build import build_encoder
from selftaught.encoders.feature_map import channels_first
from selftaught.encoders.staged import StagedEncoder, as_python


@pytest.fixture
def encoder() -> StagedEncoder:
    torch.manual_seed(0)
    made = build_encoder("resnet18", size=32)
    assert isinstance(made, StagedEncoder)
    return made


def hooks(encoder: nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in encoder.modules())


def test_no_hook_is_left_behind(encoder: StagedEncoder) -> None:
    x = torch.randn(2, 3, 32, 32)
    for read in (encoder, encoder.forward_features, encoder.forward_stages):
        read(x)
        assert hooks(encoder) == 0
    with pytest.raises(RuntimeError, match="channels"):
        encoder.forward_stages(torch.randn(2, 4, 32, 32))
    assert hooks(encoder) == 0


def test_a_copy_reads_its_own_weights(encoder: StagedEncoder) -> None:
    """Momentum encoders are copies."""
    x = torch.randn(2, 3, 32, 32)
    encoder.eval()
    other = copy.deepcopy(encoder)
    with torch.no_grad():
        for p in encoder.parameters():
            p.zero_()
        assert encoder(x).abs().max() == 0
        assert other(x).abs().max() > 0
        assert other.forward_stages(x)["conv1"].abs().max() > 0


def test_one_pass_reads_all_stages(encoder: StagedEncoder) -> None:
    calls = []
    encoder.net.get_submodule("layer1").register_forward_pre_hook(lambda *_: calls.append(1))
    encoder.forward_stages(torch.randn(2, 3, 32, 32))
    assert len(calls) == 1


def test_autocast_and_channels_last(encoder: StagedEncoder) -> None:
    encoder = encoder.eval().to(memory_format=torch.channels_last)
    x = torch.randn(2, 3, 32, 32)
    exact = encoder(x)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        stages = encoder.forward_stages(x.to(memory_format=torch.channels_last))
        pooled = encoder(x)
    assert {stage.dtype for stage in stages.values()} == {torch.bfloat16}
    assert stages["layer4"].is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(pooled.float(), exact, rtol=0.1, atol=0.05)


class Both(nn.Module):
    """A task that reads stages and pooled features in one step."""

    def __init__(self, encoder: StagedEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor) -> Tensor:
        loss: Tensor = self.encoder(x).mean() + self.encoder.forward_stages(x)["layer2"].mean()
        return loss


def test_distributed_data_parallel(encoder: StagedEncoder, tmp_path: Path) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'meet'}", rank=0, world_size=1)
    try:
        x = torch.randn(2, 3, 32, 32)
        alone = Both(copy.deepcopy(encoder))
        alone(x).backward()
        wrapped = DistributedDataParallel(Both(encoder), broadcast_buffers=False)
        for _ in range(2):  # a weight without gradient is noticed at the second step
            wrapped.zero_grad()
            wrapped(x).backward()
        for ours, theirs in zip(encoder.parameters(), alone.encoder.parameters(), strict=True):
            torch.testing.assert_close(ours.grad, theirs.grad)
    finally:
        torch.distributed.destroy_process_group()


def test_changes_print_as_python_that_makes_them() -> None:
    replaced = {"stem.0": nn.Conv2d(3, 8, 3, padding=1, bias=False), "pool": nn.Identity()}
    lines = as_python(replaced)
    model = nn.Module()
    model.stem, model.pool = nn.Sequential(nn.Conv2d(1, 1, 1)), nn.MaxPool2d(2)
    exec("\n".join(lines), {"model": model, "nn": nn})
    assert repr(model.stem[0]) == repr(replaced["stem.0"])
    assert isinstance(model.pool, nn.Identity)


@pytest.mark.parametrize("name", ["timm:test_resnet", "timm:test_vit", "video_convnet", "mean:timm:test_vit"])
@torch.no_grad()
def test_what_a_module_gives_to_the_next_stage_is_the_stage(name: str) -> None:
    encoder = build_encoder(name, size=32).eval()
    x = torch.randn(2, 3, 4, 32, 32) if encoder.kind == "video" else torch.randn(2, 3, 32, 32)
    stage = encoder.stages[1]
    module, axis = encoder.stage_output(stage)
    given: list[Tensor] = []
    handle = module.register_forward_hook(lambda _module, _args, output: given.append(output))
    wanted = encoder.forward_stages(x)[stage]
    handle.remove()
    if encoder.kind == "video" and given[0].shape[0] != 2:
        wanted = wanted.transpose(1, 2).flatten(0, 1)
    found = given[0].movedim(axis, -1).flatten(1, -2)
    wanted = channels_first(encoder, stage, wanted, 32, 32).movedim(1, -1).flatten(1, -2)
    # Tokens of classes are before those of the patches.
    torch.testing.assert_close(found[:, found.shape[1] - wanted.shape[1] :], wanted)
