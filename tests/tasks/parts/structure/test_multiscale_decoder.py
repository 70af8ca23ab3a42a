"""Maps of several resolutions from the stages of any encoder of images."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from selftaught.encoders.base import Encoder
from selftaught.encoders.build import build_encoder
from selftaught.tasks.parts.hypercolumn import placed_stages
from selftaught.tasks.parts.structure.multiscale_decoder import MultiscaleDecoder


@pytest.mark.parametrize(("size", "scales"), [(32, 4), (32, 1), (50, 3)])
def test_maps_halve_from_the_size_of_the_image(tiny_encoder: Callable[[], Encoder], size: int, scales: int) -> None:
    encoder = tiny_encoder()
    decoder = MultiscaleDecoder(encoder, size, out=2, scales=scales, width=32)
    found = decoder(placed_stages(encoder, torch.randn(3, 3, size, size)))
    assert [one.shape for one in found] == [(3, 2, side, side) for side in (size, -(-size // 2), -(-size // 4))][
        :scales
    ] + [(3, 2, 4, 4)] * (scales - 3)


def test_every_stage_has_a_gradient_and_every_parameter_too(tiny_encoder: Callable[[], Encoder]) -> None:
    encoder = tiny_encoder()
    decoder = MultiscaleDecoder(encoder, 32, out=1, scales=2, width=32)
    stages = {
        name: one.detach().requires_grad_() for name, one in placed_stages(encoder, torch.randn(2, 3, 32, 32)).items()
    }
    torch.stack([one.square().sum() for one in decoder(stages)]).sum().backward()
    assert all(one.grad is not None and one.grad.abs().sum() > 0 for one in stages.values())
    assert all(one.grad is not None for one in decoder.parameters())


def test_tokens_are_all_of_one_resolution() -> None:
    torch.manual_seed(0)
    encoder = build_encoder("timm:test_vit", size=32, stem="standard")
    decoder = MultiscaleDecoder(encoder, 32, out=1, scales=3, width=32)
    found = decoder(placed_stages(encoder, torch.randn(2, 3, 32, 32)))
    assert [one.shape[-1] for one in found] == [32, 16, 8]
