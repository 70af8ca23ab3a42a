"""Every kind of map is read back as it was written."""

from __future__ import annotations

import numpy as np
import pytest

from selftaught.data.sources.world.files import MAPS, decode, encode, frame_file


def test_maps_are_read_back() -> None:
    rng = np.random.default_rng(0)
    normals = rng.normal(size=(5, 7, 3))
    maps = {
        "depth": rng.uniform(0, 60, (5, 7)).astype(np.float32),
        "normals": (normals / np.linalg.norm(normals, axis=2, keepdims=True)).astype(np.float32),
        "instances": rng.integers(0, 400, (5, 7)).astype(np.int16),
        "flow": rng.normal(0, 9, (5, 7, 2)).astype(np.float32),
    }
    tolerance = {"depth": 5.1e-4, "normals": 2e-5}
    for kind in MAPS:
        values = maps.get(kind, rng.integers(0, 2, (5, 7)).astype(np.uint8))
        found = decode(kind, encode(kind, values), "a")
        assert (found.dtype, found.shape) == (values.dtype, values.shape)
        assert np.abs(found - values).max() <= tolerance.get(kind, 0), kind
    assert not decode("normals", encode("normals", np.zeros((5, 7, 3), np.float32)), "a").any()


def test_names_and_what_cannot_be_read() -> None:
    assert (frame_file("flow", 3, 12), frame_file("depth", 0, 1)) == (
        "flow/000003/000012.flo",
        "depth/000000/000001.png",
    )
    for data in (b"", b"broken"):
        with pytest.raises(ValueError, match=r"^moving/0\.png cannot be read"):
            decode("moving", data, "moving/0.png")
    eight_bits = encode("moving", np.ones((4, 4), np.uint8))
    with pytest.raises(ValueError, match=r"^depth/0\.png is no image of 16 bits"):
        decode("depth", eight_bits, "depth/0.png")
