"""What a process renders is what the source gives, scaled; it imports no torch."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from selftaught.data.rendered.worker import Order, render
from selftaught.data.sources.world.settings import WorldSettings
from selftaught.data.sources.world.textures import drawn_textures
from selftaught.data.sources.world.video import Scenes

pytest.importorskip("mujoco", reason="needs MuJoCo, the extra [world]")


def test_an_order_is_rendered_frame_by_frame() -> None:
    scenes = Scenes(WorldSettings(side=24, frames=4, most=6), "train", drawn_textures())
    found = render(scenes, Order(2, (1, 3), ("flow", "pose"), 24))
    video = scenes.video(2)
    assert np.array_equal(found.images, np.stack(list(video.frames([1, 3]))))  # type: ignore[arg-type]
    assert np.array_equal(found.given["flow"][1], video.given(["flow"], 3)["flow"])
    half = render(scenes, Order(2, (1, 3), ("flow", "pose"), 12))
    assert (half.images.shape, half.given["flow"].shape, half.given["pose"].shape) == (
        (2, 12, 12, 3),
        (2, 12, 12, 2),
        (2, 4, 4),
    )


def test_a_process_that_renders_imports_no_torch() -> None:
    code = "import sys, selftaught.data.rendered.worker; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
