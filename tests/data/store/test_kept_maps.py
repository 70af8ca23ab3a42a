"""What is given with frames is scaled and cut as they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from selftaught.core.settings.groups import DataSettings
from selftaught.data.batch import Sampling
from selftaught.data.computed.with_maps import pack_with_maps
from selftaught.data.decode.fit import fit
from selftaught.data.decode.frame_sequence import FrameSequence
from selftaught.data.decode.image import USUAL
from selftaught.data.inputs import GIVEN, Clip, Given, Image, Input
from selftaught.data.loader import Loader, to_device
from selftaught.data.sources.base import Entry, GivenMaps, Source
from selftaught.data.store.kept_maps import fit_given, fit_map, moved_intrinsics
from selftaught.data.store.samples import Samples

HEIGHT, WIDTH, FRAMES = 40, 60, 6


class Numbered(FrameSequence):
    """Every pixel says its frame, its column and its row."""

    def __init__(self, number: int) -> None:
        self.fps, self.count, self._number = 10.0, FRAMES, number

    @property
    def shape(self) -> tuple[int, int]:
        return HEIGHT, WIDTH

    def frames(self, numbers: Iterable[int]) -> Iterator[NDArray[np.uint8] | Exception]:
        for frame in numbers:
            yield pixels_of(10 * self._number + frame + 100).astype(np.uint8)


def pixels_of(first: float) -> NDArray[np.float32]:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([np.full_like(rows, first), columns + 50, rows + 50], 2).astype(np.float32)


def given(kind: str, i: int, second: float) -> NDArray[Any]:
    """As a source reads it: of maps, the same numbers as in the frame."""
    pixels = pixels_of(10 * i + round(10 * second) + 100)
    if kind == "pose":
        return np.diag([1, 1, 1, 10 * i + second]).astype(np.float32)
    if kind == "intrinsics":
        return np.array([[50, 0, 30], [0, 50, 20], [0, 0, 1]], np.float32)
    if i == 2 and kind == "moving":
        raise ValueError("moving/2.png cannot be read")
    vectors = {"normals": pixels, "flow": pixels[:, :, 1:]}
    return vectors.get(kind, pixels[:, :, 0] + (pixels[:, :, 1] / 1000 if kind == "depth" else 0))


class Videos(Source):
    def __init__(self) -> None:
        self.entries = [Entry(str(i)) for i in range(3)]
        self.provides = frozenset({"video", "image", *GIVEN})
        self.classes = None
        self.fingerprint = "numbered"
        self.maps: Mapping[str, GivenMaps] = {
            kind: GivenMaps(fingerprint=kind, read=partial(given, kind), size=lambda _: (HEIGHT, WIDTH))
            for kind in GIVEN
        }

    def read(self, i: int) -> Numbered:
        return Numbered(i)


def opened(side: int, **inputs: Input) -> tuple[Samples, Sampling]:
    sampling = Sampling(inputs=inputs)
    settings = DataSettings(path="numbered", store_size=side, workers=1)
    return pack_with_maps(Videos(), settings, sampling, size=side, title="packing", is_shown=False), sampling


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path / "cache"))


def test_all_that_is_given_follows_the_frames_and_the_window_of_a_clip() -> None:
    named: dict[str, Input] = {kind: Given(kind, like="clip") for kind in GIVEN if kind != "moving"}  # type: ignore[arg-type]
    samples, sampling = opened(HEIGHT, clip=Clip(frames=3, stride=2), frame=Image(), of_frame=Given("depth"), **named)
    loader = Loader(samples, sampling=sampling, batch_size=6, seed=0, device=torch.device("cpu"))
    batch = loader.batch(0)
    loader.close()
    clip = batch["clip"].float()
    assert clip[:, 0, 1, 0, 0].unique().numel() > 1  # several windows
    assert clip[:, 0, 0].unique().numel() > 1
    assert torch.equal(batch["mask"], batch["clip"][:, :, 0])
    assert torch.equal(batch["instances"], batch["clip"][:, :, 0].short())
    assert torch.equal(batch["normals"], clip)
    assert torch.equal(batch["flow"], clip[:, :, 1:])
    assert torch.allclose(batch["depth"], clip[:, :, 0] + clip[:, :, 1] / 1000)
    assert batch["depth"].shape == (6, 3, HEIGHT, HEIGHT)
    frame = batch["frame"].float()
    assert torch.allclose(batch["of_frame"], frame[:, 0] + frame[:, 1] / 1000)
    number = clip[:, :, 0, 0, 0] - 100
    assert torch.allclose(batch["pose"][:, :, 3, 3], 10 * (number // 10) + number % 10 / 10)
    left = clip[:, :, 1, 0, 0] - 50
    assert torch.equal(batch["intrinsics"][:, :, 0, 2], 30 - left)
    assert torch.equal(batch["intrinsics"][:, :, 1, 2], torch.full((6, 3), 20.0))


def test_vectors_and_intrinsics_are_scaled_with_their_frames() -> None:
    samples, sampling = opened(20, clip=Clip(frames=2), flow=Given("flow"), intrinsics=Given("intrinsics"))
    draws = np.array([[0.0, 0.0, 0.5], [0.0, 0.99, 0.5]])
    batch = to_device(samples.read(np.array([0, 1]), draws), samples, torch.device("cpu"), sampling.inputs)
    assert (batch["flow"] - (batch["clip"][:, :, 1:].float() - 0.5) / 2).abs().max() <= 0.75
    expected = torch.tensor([[25.0, 0, 15], [0, 25, 10], [0, 0, 1]])
    assert torch.equal(batch["intrinsics"][0, 0], expected)
    assert torch.equal(batch["intrinsics"][1, 0], expected - torch.tensor([[0.0, 0, 10], [0, 0, 0], [0, 0, 0]]))


def test_a_video_with_a_broken_map_is_left_out() -> None:
    samples, _ = opened(20, clip=Clip(frames=2), moving=Given("moving"))
    assert (list(samples.keys), samples.skipped) == (["0", "1"], [("2", "moving/2.png cannot be read")])


def test_intrinsics_of_what_is_left_between_bars_of_a_long_image() -> None:
    whole, box = np.array([[100, 0, 200], [0, 100, 30], [0, 0, 1]], np.float32), np.array([10, 0, 40, 400])
    found = fit_given("intrinsics", whole, raw=(60, 400), box=box, size=(20, 60))
    assert np.array_equal(found, np.array([[50, 0, (200 - 140) / 2], [0, 50, (30 - 10) / 2], [0, 0, 1]]))


def test_intrinsics_of_a_part() -> None:
    whole = np.array([[80, 0, 32], [0, 80, 24], [0, 0, 1]], np.float32)
    part = moved_intrinsics(whole, scale=(0.5, 0.25), left=12, top=4)
    for point in np.random.default_rng(0).uniform(1, 2, (5, 3)):
        seen, moved = (k @ point / point[2] for k in (whole, part))
        assert np.allclose(moved[:2], (seen[:2] - (12, 4)) * (0.5, 0.25), atol=1e-5)


def test_a_map_covers_what_its_image_covers() -> None:
    for height, width in ((40, 60), (60, 40), (31, 30), (20, 90), (90, 20)):
        mask = np.zeros((height, width), np.uint8)
        mask[height // 3 :, : width // 2] = 200
        for side in (10, 20, 45):
            image = fit(np.repeat(mask[:, :, None], 3, 2), side=side, decoding=USUAL)
            found = fit_map(mask, height=image.shape[0], width=image.shape[1])
            assert set(np.unique(found)) <= {0, 200}
            assert (np.abs(image[:, :, 0].astype(int) - found) <= 100).mean() > 0.98


def test_depth_keeps_its_numbers() -> None:
    depth = np.arange(24, dtype=np.uint16).reshape(4, 6) * 1000
    assert np.array_equal(fit_map(depth, height=4, width=6), depth)
    assert np.array_equal(fit_map(depth, height=8, width=12), depth.repeat(2, 0).repeat(2, 1))
    assert fit_map(depth, height=2, width=3).dtype == np.uint16
