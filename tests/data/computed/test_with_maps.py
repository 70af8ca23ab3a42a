"""A task's computed inputs are maps of the very frames and window that it is given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from selftaught.core.settings.groups import DataSettings
from selftaught.data.batch import Sampling
from selftaught.data.computed.with_maps import pack_with_maps
from selftaught.data.inputs import Clip, Computed, Image, Input
from selftaught.data.loader import Loader
from selftaught.data.sources.open import open_source
from selftaught.data.store.cache import list_stores
from selftaught.data.store.samples import Samples
from selftaught.data.store.stored_frames import from_store
from selftaught.data.store.subset import Subset
from tests.data.computed.copied import COPY
from tests.data.computed.moving import shifting, with_square


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def videos(tmp_path: Path, write_video: Any) -> str:
    for name, width in (("a", 48), ("b", 40)):
        write_video(tmp_path / "videos" / f"{name}.mp4", shifting(16, 1.0, 0.5, height=32, width=width))
    return str(tmp_path / "videos")


def packed(data: str, needs: str, **inputs: Input) -> tuple[Samples, Sampling]:
    source = open_source(data, split="train", needs=frozenset({needs}), held_out=0.0)
    reading = DataSettings(path=data, cache_limit=1.0, workers=1, store_size=32)
    sampling = Sampling(inputs=inputs)
    return pack_with_maps(source, reading, sampling, size=32, title="packing", is_shown=False), sampling


def test_maps_follow_each_clip_and_image_through_its_window(videos: str) -> None:
    samples, sampling = packed(
        videos,
        "video",
        past=Clip(frames=4),
        future=Clip(frames=3, after="past", gap=(0.0, 0.1)),
        frame=Image(),
        of_past=Computed(COPY, like="past"),
        of_future=Computed(COPY, like="future"),
        of_frame=Computed(COPY, like="frame"),
    )
    rows, draws = np.array([0, 1, 1]), np.random.default_rng(0).random((3, sampling.draws))
    for some, chosen in ((samples, rows), (Subset(samples, rows), np.arange(3))):
        host = some.read(chosen, draws)
        for name in ("past", "future", "frame"):
            assert np.array_equal(host[f"of_{name}"], host[name])
    assert host["past"].shape == (3, 4, 32, 32, 3)


def test_maps_of_images_are_images(tmp_path: Path) -> None:
    samples, _ = packed("synthetic:N=8,side=32", "image", photo=Image(), edges=Computed(COPY, like="photo"))
    host = samples.read(np.arange(8), np.full((8, 3), 0.5))
    assert host["edges"].shape == (8, 32, 32, 3)
    assert np.array_equal(host["edges"], host["photo"])


def test_a_batch_has_flow_of_its_clip(videos: str) -> None:
    samples, sampling = packed(videos, "video", clip=Clip(frames=5), flow=Computed("optical_flow", like="clip"))
    loader = Loader(samples, sampling=sampling, batch_size=4, seed=0, device=torch.device("cpu"))
    batch = loader.batch(0)
    loader.close()
    assert batch["clip"].shape == (4, 5, 3, 32, 32)
    assert batch["flow"].shape == (4, 5, 2, 32, 32)
    inner = batch["flow"][..., 6:-6, 6:-6].mean((0, 1, 3, 4))
    assert (inner - torch.tensor([1.0, 0.5])).abs().max() < 0.1


def test_what_programs_computed_changes_the_fingerprint(videos: str) -> None:
    with_flow, _ = packed(videos, "video", clip=Clip(frames=2), a=Computed("optical_flow", like="clip"))
    with_mask, _ = packed(videos, "video", clip=Clip(frames=2), a=Computed("moving_mask", like="clip"))
    assert with_flow.fingerprint != with_mask.fingerprint


def test_an_unknown_program_is_said_before_anything_is_packed(videos: str) -> None:
    with pytest.raises(ValueError, match="unknown program 'optical'; did you mean optical_flow"):
        packed(videos, "video", clip=Clip(frames=2), flow=Computed("optical", like="clip"))
    assert list_stores() == []


def test_the_progress_bar_names_the_program(videos: str, monkeypatch: pytest.MonkeyPatch) -> None:
    titles: list[str] = []
    seen: list[tuple[int, int]] = []

    @contextmanager
    def late_bar(title: str, *, is_shown: bool = True) -> Iterator[Any]:
        titles.append(title)
        yield lambda done, total: seen.append((done, total))

    monkeypatch.setattr("selftaught.data.computed.maps.late_bar", late_bar)
    packed(videos, "video", clip=Clip(frames=2), flow=Computed("optical_flow", like="clip"))
    assert titles == ["packing: optical_flow"]
    assert seen == [(1, 2), (2, 2)]


@pytest.mark.parametrize("program", ["moving_mask", "unlc"])
def test_neither_bars_nor_cuts_are_what_moves(tmp_path: Path, write_video: Any, program: str) -> None:
    """Two shots of a ground that pans under a square, between black bars, which stand still and are cut off."""
    shots = []
    for right, levels in ((2.0, (90, 0.6)), (-2.0, (5, 0.3))):
        frames, truth = with_square(shifting(8, right, 0, height=64, width=96), 0, 2, side=24, top=12, left=36)
        frames[truth] = frames[truth] // 2 + np.array([120, 0, 0], np.uint8)
        shots.append((levels[0] + levels[1] * frames).astype(np.uint8))
    write_video(tmp_path / "videos" / "a.mp4", np.pad(np.concatenate(shots), ((0, 0), (16, 16), (0, 0), (0, 0))))
    sampling = Sampling(inputs={"clip": Clip(frames=8), "mask": Computed(program, like="clip")})
    data = str(tmp_path / "videos")
    source = open_source(data, split="train", needs=frozenset({"video"}), held_out=0.0)
    reading = DataSettings(path=data, cache_limit=1.0, workers=1, store_size=64)
    samples = pack_with_maps(source, reading, sampling, size=64, title="packing", is_shown=False)
    assert from_store(samples).stored.last.nonzero()[0].tolist() == [7, 15]
    masks = samples.read(np.zeros(2, np.int64), np.array([[0.5, 0.5, 0.0], [0.5, 0.5, 0.99]]))["mask"][..., 0]
    moving = (masks == 1).mean((0, 1))
    assert max(moving[:4].max(), moving[-4:].max()) < 0.2  # of the frames; a bar would be there in all of them
    assert moving[24:36, 26:38].mean() > 0.7
    assert (masks == 1).mean((2, 3)).min() > 0.05
    assert (masks == 1).mean((2, 3)).max() < 0.4  # nothing like a whole frame at the cut
