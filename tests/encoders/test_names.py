"""The list of encoders: complete, answered without torch, and helpful about unknown names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from selftaught.encoders.names import clip_name, encoder_names, given_weights, with_prefix


def test_names_are_answered_without_torch() -> None:
    code = (
        "import sys; from selftaught.encoders.names import given_weights, encoder_names; encoder_names(); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_kind_and_family_is_listed() -> None:
    listed = encoder_names()
    assert len({info.name for info in listed}) == len(listed) == 41
    assert {info.kind for info in listed} == {"image", "video", "audio"}
    assert all(info.stages for info in listed if not info.name.endswith(">"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mean:resnet18", ("mean", 0, "resnet18", None)),
        ("lstm:timm:test_vit", ("lstm", 0, "timm:test_vit", None)),
        ("flow:resnet18", ("flow", 10, "resnet18", None)),
        ("twostream4:grey:resnet18", ("twostream", 4, "grey:resnet18", None)),
        ("2ch:differences:resnet18", ("differences", 5, "resnet18", 2)),
    ],
)
def test_a_name_of_clips_is_taken_apart(name: str, expected: tuple[str, int, str, int | None]) -> None:
    found = clip_name(name)
    assert found is not None
    assert (found.head, found.count, found.inner, found.channels) == expected


@pytest.mark.parametrize(
    ("name", "prefix", "whole"),
    [
        ("resnet18", "grey:", "grey:resnet18"), ("r3d_18", "grey:", "grey:r3d_18"), ("sobel:r3d_18", "grey:", ""),
        ("mean:resnet18", "grey:", "mean:grey:resnet18"), ("twostream4:timm:a", "grey:", "twostream4:grey:timm:a"),
        ("mean:sobel:resnet18", "grey:", ""), ("flow:resnet18", "grey:", "flow:grey:resnet18"),
        ("dynamic:resnet18", "grey:", "dynamic:grey:resnet18"), ("6ch:dynamic:resnet18", "grey:", ""),
        ("mean:resnet18", "20ch:", "20ch:mean:resnet18"), ("2ch:resnet18", "20ch:", ""), ("mean:resnet18", "", ""),
    ],
)  # fmt: skip
def test_where_a_prefix_goes(name: str, prefix: str, whole: str) -> None:
    assert with_prefix(name, prefix) == (whole or name)


@pytest.mark.parametrize("name", ["resnet18", "grey:mean:resnet18", "mean3:resnet18", "flow0:resnet18", "2ch:resnet18"])
def test_other_names_are_none(name: str) -> None:
    assert clip_name(name) is None


def test_weights_are_files_of_known_endings_or_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resnet18").write_bytes(b"")
    (tmp_path / "w.weights").write_bytes(b"")
    for text in ("timm:resnet18", "mean:resnet18", "resnet18", "w.pth", "grey:w.other"):
        assert given_weights(text) is None, text
    for text, expected in (
        ("mean:resnet18:gone.pth.tar", ("mean:resnet18", "gone.pth.tar", "")),
        ("resnet18:w.weights", ("resnet18", "w.weights", "")),
        (f"timm:a:{tmp_path}/resnet18#teacher", ("timm:a", f"{tmp_path}/resnet18", "teacher")),
    ):
        found = given_weights(text)
        assert found is not None
        assert (found.encoder, found.file, found.choice) == expected
