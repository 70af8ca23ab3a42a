from __future__ import annotations

import torch
from torch import Tensor, nn

from selftaught.encoders.base import Encoder
from selftaught.encoders.build import build_encoder
from selftaught.evaluation.visualise.receptive_field import receptive_fields

LAYERS = [(3, 1, 1), (3, 2, 1), (3, 1, 0), (2, 2, 0)]
"""Kernel, stride, padding; the second is a max pooling."""


class Stack(Encoder):
    name, kind, num_features, stages = "stack", "image", 16, ("first", "last")

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            convs = [nn.Conv2d(3 if i == 0 else 16, 16, k, s, p) for i, (k, s, p) in enumerate(LAYERS)]
        self.first = nn.Sequential(convs[0], nn.BatchNorm2d(16), nn.ReLU())
        self.rest = nn.Sequential(nn.MaxPool2d(*LAYERS[1]), convs[2], nn.ReLU(), convs[3])

    def forward_stages(self, x: Tensor) -> dict[str, Tensor]:
        first = self.first(x)
        return {"first": first, "last": self.rest(first)}

    def forward_features(self, x: Tensor) -> Tensor:
        return self.forward_stages(x)["last"]

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_features(x).mean((2, 3))


def seen_by(index: int, layers: list[tuple[int, int, int]], size: int) -> tuple[int, int]:
    """Input pixels of one output, layer by layer from the end: [o s - p, o s - p + k)."""
    first, last = index, index
    for kernel, stride, padding in reversed(layers):
        first, last = first * stride - padding, last * stride - padding + kernel - 1
    return max(first, 0), min(last + 1, size)


def test_a_stack_of_convolutions_is_exact_everywhere() -> None:
    size, encoder = 30, Stack().eval()
    for stage, layers in (("first", LAYERS[:1]), ("last", LAYERS)):
        side = encoder.forward_stages(torch.zeros(1, 3, size, size))[stage].shape[-1]
        fields = receptive_fields(encoder, stage, range(side), size=size)
        for index in range(side):
            assert fields.rows[index] == fields.columns[index] == seen_by(index, layers, size), (stage, index)
    assert fields.box(1, 3) == (
        *[seen_by(i, LAYERS, size)[0] for i in (1, 3)],
        *[seen_by(i, LAYERS, size)[1] for i in (1, 3)],
    )


def test_resnet18_has_the_known_field() -> None:
    """11 pixels before layer1, and 8 more for each of its 4 convolutions at stride 4: 43."""
    encoder = build_encoder("resnet18", size=96, stem="standard").eval()
    (top, bottom) = receptive_fields(encoder, "layer1", [12], size=96).rows[12]
    assert bottom - top == 43
    assert (top, bottom) == (12 * 4 - 21, 12 * 4 + 22)


def test_tokens_see_the_whole_image() -> None:
    encoder = build_encoder("timm:vit_tiny_patch16_224", size=32, stem="standard").eval()
    assert receptive_fields(encoder, encoder.stages[0], [0, 1], size=32).box(0, 1) == (0, 0, 32, 32)
