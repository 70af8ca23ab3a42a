from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from selftaught.encoders.build import build_encoder
from selftaught.encoders.trimmed_convolutions import (
    TrimmedConv2d,
    TrimmedConv3d,
    TrimmedConvTranspose2d,
    trim_kernels,
    untrim_kernels,
)

PLAIN = [(3, 1, 1), (3, 2, 1), (5, 1, 2), (7, 2, 3), (4, 2, 1), (1, 1, 0), (3, 1, 0), (11, 4, 2)]


@pytest.mark.parametrize("side", [(1, 1), (2, 2), (3, 3), (1, 4), (5, 2), (9, 9)])
@pytest.mark.parametrize(("kernel", "stride", "padding"), PLAIN)
def test_the_same_result_and_gradient(kernel: int, stride: int, padding: int, side: tuple[int, int]) -> None:
    for make, groups in ((nn.Conv2d, 1), (nn.Conv2d, 2), (nn.ConvTranspose2d, 1), (nn.ConvTranspose2d, 2)):
        torch.manual_seed(0)
        plain = make(4, 6, kernel, stride=stride, padding=padding, groups=groups)
        if make is nn.Conv2d and min(side) + 2 * padding < kernel:
            continue
        if make is nn.ConvTranspose2d and min((n - 1) * stride - 2 * padding + kernel for n in side) < 1:
            continue
        trimmed = trim_kernels(copy.deepcopy(plain))
        assert isinstance(trimmed, TrimmedConv2d | TrimmedConvTranspose2d)
        x = torch.randn(3, 4, *side)
        wanted, got = plain(x), trimmed(x)
        torch.testing.assert_close(got, wanted)
        pull = torch.randn_like(wanted)
        (wanted * pull).sum().backward()
        (got * pull).sum().backward()
        torch.testing.assert_close(trimmed.weight.grad, plain.weight.grad)


def test_what_only_meets_padding_is_not_computed() -> None:
    network = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ConvTranspose2d(3, 3, 4, stride=2, padding=1))
    trim_kernels(network)
    with torch.no_grad():
        for layer in network:
            assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
            kept = layer.weight[:, :, 1:-1, 1:-1].clone()
            layer.weight.fill_(float("nan"))[:, :, 1:-1, 1:-1] = kept
    made = network(torch.randn(5, 2, 1, 1))
    assert made.shape == (5, 3, 2, 2)
    assert bool(made.isfinite().all())
    made.sum().backward()
    for layer in network:
        assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
        assert layer.weight.grad is not None
        assert bool(layer.weight.grad.isfinite().all())


def test_only_the_layers_are_others() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.ReLU(), nn.Conv2d(4, 4, 3, stride=2, dilation=2))
    network.eval()
    network.add_module("again", network[0])
    names, parameters = list(network.state_dict()), list(network.parameters())
    state = torch.get_rng_state()
    assert trim_kernels(network) is network
    assert torch.equal(torch.get_rng_state(), state)
    assert list(network.state_dict()) == names
    assert all(one is other for one, other in zip(network.parameters(), parameters, strict=True))
    assert type(network[0]) is type(network[2]) is TrimmedConv2d
    assert network.get_submodule("again") is network[0]
    assert not network[2].training
    assert str(network[2]).removeprefix("Trimmed") == str(nn.Conv2d(4, 4, 3, stride=2, dilation=2))


def test_a_convolution_of_its_own_kind_stays() -> None:
    class Own(nn.Conv2d):
        """Computes something else."""

    layers = nn.ModuleList([Own(1, 1, 1), nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 1, 1))])
    before = list(layers)
    trim_kernels(layers)
    assert list(layers) == before


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 6])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 1), (3, 2, 1), (5, 1, 2), (7, 2, 3), (3, 1, 0)])
@pytest.mark.parametrize("side", [1, 2, 5])
def test_clips_of_few_frames_have_the_same_result_and_gradient(
    kernel: int, stride: int, padding: int, frames: int, side: int
) -> None:
    """As in float64; in bfloat16, and at times in float32, oneDNN's gradient of such a kernel is anything."""
    if padding == 0 and min(frames, side) < kernel:
        pytest.skip("no output")
    torch.manual_seed(0)
    plain = nn.Conv3d(16, 16, kernel, stride=stride, padding=padding)
    x = torch.randn(2, 16, frames, side, side)
    wanted, gradient = outcome(copy.deepcopy(plain).double(), x.double())
    trimmed = trim_kernels(plain)
    assert type(trimmed) is TrimmedConv3d
    for dtype, near in ((torch.float32, 1e-5), (torch.bfloat16, 0.02)):
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16):
            got = outcome(trimmed, x)
        for one, other in zip(got, (wanted, gradient), strict=True):
            assert float((one - other).abs().max()) <= near * float(other.abs().max()) + 1e-6


def outcome(conv: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The result and the gradient of the kernel, where memory that nothing wrote to holds large numbers."""
    for size in range(8, 20):
        torch.full((2**size,), 1e30)
    made = conv(x)
    pull = torch.randn(made.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (gradient,) = torch.autograd.grad((made.double() * pull).sum(), [conv.get_parameter("weight")])
    return made.detach().double(), gradient.double()


@pytest.mark.parametrize("name", ["mc3_18", "r2plus1d_18", "s3d"])
def test_every_convolution_of_clip_encoders_is_trimmed(name: str) -> None:
    encoder = build_encoder(name, size=16)
    trim_kernels(encoder)
    assert {type(module) for module in encoder.modules() if isinstance(module, nn.Conv3d)} == {TrimmedConv3d}


def test_plain_convolutions_come_back_with_their_parameters() -> None:
    plain = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, groups=2, bias=False),
                          nn.ConvTranspose2d(4, 2, 2, stride=2, output_padding=1)).eval()  # fmt: skip
    again = untrim_kernels(trim_kernels(copy.deepcopy(plain)))
    assert [type(module) for module in again] == [type(module) for module in plain]  # type: ignore[attr-defined]
    torch.testing.assert_close(again.state_dict(), plain.state_dict())
    x = torch.randn(2, 3, 12, 12)
    assert torch.equal(again(x), plain(x))
    assert not any(module.training for module in again.modules())
