"""Processes end with the one that asks, and what goes wrong in them is said."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from selftaught.data.rendered.processes import Processes
from selftaught.data.rendered.worker import Order, render
from selftaught.data.sources.world.settings import WorldSettings
from selftaught.data.sources.world.textures import drawn_textures
from selftaught.data.sources.world.video import Scenes

pytest.importorskip("mujoco", reason="needs MuJoCo, the extra [world]")


def test_orders_are_rendered_in_order_by_processes_that_end() -> None:
    scenes = Scenes(WorldSettings(side=16, frames=2, most=5), "train", drawn_textures())
    processes = Processes(scenes, 1)
    orders = [Order(number, (0,), ("depth",), 16) for number in (4, 1)]
    for order, found in zip(orders, processes.render(orders), strict=True):
        here = render(scenes, order)
        assert np.array_equal(found.images, here.images)
        assert np.array_equal(found.given["depth"], here.given["depth"])
    with pytest.raises(ValueError, match=r"^scene 0 cannot be rendered: KeyError: 'colour'"):
        processes.render([Order(0, (0,), ("colour",), 16)])
    child = processes._children[0]
    child.kill()
    with pytest.raises(ValueError, match=r"^a process that renders scenes has ended"):
        processes.render(orders)
    processes._pool.submit(int).result()  # its thread is done with those orders, and holds nothing
    del processes
    gc.collect()
    assert child.returncode is not None
