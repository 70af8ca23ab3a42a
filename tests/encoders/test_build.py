"""A name becomes an encoder."""

from __future__ import annotations

from typing import Literal

import pytest

from selftaught.encoders.build import SMALL_BELOW, build_encoder


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("resnet19", r"unknown encoder 'resnet19'; did you mean resnet18"),
        ("timm:vit_tiny_patch16_225", r"unknown timm model 'vit_tiny_patch16_225'; did you mean vit_tiny_patch16_224"),
        ("timm:zzzzzz", r"unknown timm model 'zzzzzz'; timm.list_models\(\) gives"),
    ],
)
def test_unknown_names_get_the_near_ones(name: str, answer: str) -> None:
    with pytest.raises(ValueError, match=answer):
        build_encoder(name, size=64)


def test_unknown_stem_is_refused() -> None:
    with pytest.raises(ValueError, match="--stem must be one of auto, standard, small, got 'tiny'"):
        build_encoder("resnet18", size=64, stem="tiny")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size", "asked", "built"),
    [
        (SMALL_BELOW - 1, "auto", "small"),
        (SMALL_BELOW, "auto", "standard"),
        (32, "standard", "standard"),
        (64, "small", "small"),
    ],
)
def test_auto_takes_the_small_stem_for_small_images(
    size: int, asked: Literal["auto", "standard", "small"], built: str
) -> None:
    encoder = build_encoder("resnet18", size=size, stem=asked)
    assert (encoder.name, encoder.kind) == ("resnet18", "image")
    assert encoder.stem == built


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("resnet18:weights.pth", "names weights, which are not read here; give the encoder's name alone"),
        ("grey:audio_convnet", "grey: goes before the name of one encoder of images or clips, got 'grey:audio"),
        ("split:r3d_18", "split: goes before the name of one encoder of images, got 'split:r3d_18'"),
        ("grey:sobel:resnet18", "grey: goes before the name of one encoder of images"),
        ("split:timm:test_resnet", "split: needs an encoder of torchvision, whose layers can be halved"),
    ],
)
def test_what_cannot_be_built_is_one_sentence(name: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        build_encoder(name, size=32)
