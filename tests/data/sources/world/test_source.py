"""Scenes as data: parts, what is given, photos as textures, and what is said without MuJoCo."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from selftaught.core.settings.groups import DataSettings
from selftaught.data.batch import Sampling
from selftaught.data.computed.with_maps import pack_with_maps
from selftaught.data.inputs import Clip, Given, Image, Input, needs_of
from selftaught.data.sources.base import Source
from selftaught.data.sources.open import open_source
from selftaught.data.sources.world.source import KINDS
from selftaught.data.sources.world.video import WorldVideo
from tests.data.trees import write

pytest.importorskip("mujoco", reason="needs MuJoCo, the extra [world]")
SMALL = "world:scenes=8,side=24,frames=4,most=8"
VIDEO = frozenset({"video"})


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path / "cache"))


def test_parts_differ_and_the_others_are_smaller() -> None:
    train, held_out, test = (open_source(SMALL, split=split, needs=VIDEO) for split in ("train", "held_out", "test"))
    assert (len(train), len(held_out), len(test)) == (8, 2, 2)
    assert [entry.key for entry in train.entries][:2] == ["train/000000", "train/000001"]
    assert len({train.fingerprint, held_out.fingerprint, test.fingerprint}) == 3
    endless = open_source("world", split="train", needs=VIDEO)
    assert (endless.is_endless, len(endless)) == (True, 1_000_000)
    held_out = open_source("world", split="held_out", needs=VIDEO)
    assert (held_out.is_endless, len(held_out)) == (False, 64)


def test_packed_clips_come_with_everything_that_is_known() -> None:
    inputs: dict[str, Input] = {"clip": Clip(frames=2), "frame": Image()}
    inputs |= {kind: Given(kind, like="clip") for kind in KINDS}  # type: ignore[arg-type]
    source = open_source("world:scenes=2,side=24,frames=4,most=8", split="train", needs=needs_of(inputs))
    sampling, reading = Sampling(inputs=inputs), DataSettings(path=source.name, workers=1)
    samples = pack_with_maps(source, reading, sampling, size=32, title="packing", is_shown=False)
    assert (samples.side, len(samples), samples.skipped) == (24, 2, [])
    host = samples.read(np.arange(2), np.full((2, 3), 0.5))
    for row in range(2):
        video = source.read(row)
        assert isinstance(video, WorldVideo)
        for t in range(2):  # the middle two of four
            assert np.array_equal(host["clip"][row, t], video.frame(video.simulation(), 1 + t).image())
            for kind, values in video.given(KINDS, 1 + t).items():
                exact = values.astype(np.float16) if kind == "normals" else values
                assert np.array_equal(host[kind][row, t], exact), kind


def first_image(source: Source) -> NDArray[np.int64]:
    video = source.read(0)
    assert isinstance(video, WorldVideo)
    return video.frame(video.simulation(), 0).image().astype(np.int64)


def test_photos_cover_the_surfaces(tmp_path: Path) -> None:
    for i in range(3):
        write(tmp_path / "photos" / f"{i}.png", np.full((40, 50, 3), (250, 10, 10), np.uint8))
    drawn, photos = (
        open_source(f"{SMALL},place=indoor{more}", split="train", needs=VIDEO)
        for more in ("", f",textures={tmp_path}/photos")
    )
    assert drawn.fingerprint != photos.fingerprint
    plain, red = (first_image(source) for source in (drawn, photos))
    assert (red[..., 0] > 2 * red[..., 1]).mean() > 0.9
    assert (plain[..., 0] > 2 * plain[..., 1]).mean() < 0.5


def test_labels_are_refused_and_the_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"^labels are needed, but world:.* holds videos with depth maps, surface n"):
        open_source(SMALL, split="train", needs=frozenset({"image", "label"}))
    monkeypatch.setattr("selftaught.data.sources.world.source.find_spec", lambda _: None)
    with pytest.raises(
        ValueError, match=r"simulated by MuJoCo, which is not installed; pip install 'selftaught\[world\]'$"
    ):
        open_source(SMALL, split="train", needs=VIDEO)
