"""Scenes rendered while training are those that would be packed, for any number of processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from selftaught.core.settings.groups import DataSettings
from selftaught.data.batch import Sampling
from selftaught.data.computed.with_maps import pack_with_maps
from selftaught.data.inputs import Clip, Computed, Given, Image, Input, needs_of
from selftaught.data.sources.open import open_source
from selftaught.data.store.samples import Samples

pytest.importorskip("mujoco", reason="needs MuJoCo, the extra [world]")
INPUTS: dict[str, Input] = {
    "clip": Clip(frames=2, stride=2),
    "next": Clip(frames=1, after="clip", stride=2),
    "frame": Image(),
    "flow": Given("flow", like="clip"),
    "depth": Given("depth"),
    "intrinsics": Given("intrinsics", like="next"),
}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path / "cache"))


def opened(data: str, workers: int, inputs: dict[str, Input] | None = None, **more: int) -> Samples:
    sampling = Sampling(inputs=inputs or INPUTS, **more)
    source = open_source(data, split="train", needs=needs_of(sampling.inputs))
    reading = DataSettings(path=data, workers=workers, store_size=16)
    return pack_with_maps(source, reading, sampling, size=16, title="packing", is_shown=False)


def test_endless_scenes_are_read_as_if_they_were_packed() -> None:
    packed = opened("world:scenes=3,side=24,frames=8,most=6", 1)
    endless = opened("world:side=24,frames=8,most=6", 2)
    rows, draws = np.array([2, 0, 1, 0]), np.random.default_rng(0).random((4, 3))
    expected = packed.read(rows, draws)
    found = endless.read(rows, draws)
    assert sorted(found.inputs) == sorted(INPUTS)
    for name in INPUTS:
        assert np.array_equal(found[name], expected[name]), name
    assert np.array_equal(found.time, expected.time)  # type: ignore[arg-type]
    assert (len(endless), endless.keys[7], endless.keys[:1]) == (1_000_000, "train/000007", ["train/000000"])
    assert "2 processes while training (--workers)" in endless.notes[0]  # type: ignore[attr-defined]


def test_maps_of_endless_scenes_are_those_of_packed_ones() -> None:
    """At the end of a scene too, where a frame has no next one."""
    inputs: dict[str, Input] = {
        "clip": Clip(frames=2, stride=2),
        "frame": Image(),
        "flow": Computed("optical_flow", like="clip", settings={"preset": "fast"}),
        "mask": Computed("moving_mask", like="frame"),
    }
    packed = opened("world:scenes=2,side=24,frames=4,most=6", 1, inputs)
    endless = opened("world:side=24,frames=4,most=6", 1, inputs)
    rows = np.array([0, 1, 1])
    for moment in (0.01, 0.99):
        draws = np.full((3, 3), moment)
        expected, found = packed.read(rows, draws), endless.read(rows, draws)
        assert found["mask"].shape == (3, 16, 16, 1)
        assert found["flow"].any()
        for name in inputs:
            assert np.array_equal(found[name], expected[name]), name


def test_moments_of_one_scene_are_kept_apart() -> None:
    inputs: dict[str, Input] = {"frame": Image()}
    samples = opened("world:side=24,frames=30,fps=10", 1, inputs, clips_per_video=2, min_gap=1)
    draws = samples.spread(np.array([5, 5, 9, 9]), np.full((4, 3), 0.5), samples.sampling)  # type: ignore[attr-defined]
    assert (np.abs(draws[0, 2] - draws[1, 2]) * 2.9 >= 1 - 1e-6).all()
    assert np.array_equal(draws[:2], draws[2:])
    assert [one[0, 2] for one in samples.eval_draws(1, 2)] == [0.25, 0.75]


def test_what_only_packed_scenes_have_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^unlc is computed from whole shots, but of those of world:side=24 a few"):
        opened("world:side=24", 1, {"clip": Clip(frames=2), "mask": Computed("unlc", like="clip")})
    with pytest.raises(
        ValueError, match=r"^the videos of world:side=24,frames=4 cannot be used: 4 frames, fewer than the 9"
    ):
        opened("world:side=24,frames=4", 1, {"clip": Clip(frames=9)})
