"""The verb writes scenes, and refuses what cannot be before it writes anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from selftaught import api


def test_scenes_are_written(tmp_path: Path) -> None:
    pytest.importorskip("mujoco", reason="needs MuJoCo, the extra [world]")
    found = api.world(out=tmp_path / "out", scenes=1, frames=1, size=16, most=5, place="indoor")
    assert (found["scenes"], found["frames"], found["out"]) == (1, 1, str(tmp_path / "out"))
    assert (tmp_path / "out" / "videos" / "000000.mp4").is_file()
    with pytest.raises(ValueError, match=r"^--scenes must be at least 1, got 0$"):
        api.world(out=tmp_path / "new", scenes=0)
    with pytest.raises(ValueError, match=r"^--size must be in \[16, 1024\], got 4$"):
        api.world(out=tmp_path / "new", size=4)
    assert not (tmp_path / "new").exists()
