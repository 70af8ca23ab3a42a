"""The list of encoders: complete, answered without torch, and helpful about unknown names."""

from __future__ import annotations

import subprocess
import sys

from selftaught.encoders.names import encoder_names


def test_names_are_answered_without_torch() -> None:
    code = (
        "import sys; from selftaught.encoders.names import encoder_names; encoder_names(); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_kind_and_family_is_listed() -> None:
    listed = encoder_names()
    assert len({info.name for info in listed}) == len(listed) == 27
    assert {info.kind for info in listed} == {"image", "video", "audio"}
    assert all(info.stages for info in listed if info.family != "timm")
