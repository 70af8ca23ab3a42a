"""The list of encoders: complete, answered without torch, and helpful about unknown names."""

from __future__ import annotations

import subprocess
import sys

import pytest

from selftaught.encoders.build import build_encoder
from selftaught.encoders.names import encoder_names


def test_names_are_answered_without_torch() -> None:
    code = (
        "import sys; from selftaught.encoders.names import encoder_names; encoder_names(); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_kind_and_family_is_listed() -> None:
    listed = encoder_names()
    assert len({info.name for info in listed}) == len(listed) == 26
    assert {info.kind for info in listed} == {"image", "video", "audio"}
    assert all(info.stages for info in listed if info.family != "timm")


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
