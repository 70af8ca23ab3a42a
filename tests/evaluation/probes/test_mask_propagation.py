"""Masks that are followed: exact features follow exactly, and what is said beside them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from selftaught.core.settings.groups import DataSettings
from selftaught.encoders.base import Encoder
from selftaught.encoders.build import build_encoder
from selftaught.evaluation.data.base import Asked
from selftaught.evaluation.data.sequences import MaskedVideos, open_sequences
from selftaught.evaluation.metrics.mask_match import boundary_accuracy, region_similarity
from selftaught.evaluation.probes.mask_propagation import MaskPropagation, measure
from selftaught.features.reader import Reader
from tests.evaluation.davis import FRAMES, moving_object, write_videos


class Cells(Encoder):
    """The pixels of every cell of 4 x 4, as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.name, self.kind, self.num_features, self.stages = "cells", "image", 48, ("cells",)
        self.weight = nn.Parameter(torch.ones(1))

    def forward_stages(self, x: Tensor) -> dict[str, Tensor]:
        return {"cells": torch.nn.functional.pixel_unshuffle(x, 4) * self.weight}

    def forward_features(self, x: Tensor) -> Tensor:
        return self.forward_stages(x)["cells"]

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_features(x).mean((2, 3))


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> MaskedVideos:
    folder = write_videos(tmp_path_factory.mktemp("davis"), {"bear": 1, "two": 2, "cat": 1})
    return open_sequences(Asked(data=DataSettings(path=str(folder)), size=32, kind="image", needs=frozenset({"mask"})))


def reader(encoder: Encoder, **changes: Any) -> Reader:
    return Reader(encoder=encoder, size=32, device=torch.device("cpu"), precision="32-true", **changes)


def probe(**settings: Any) -> MaskPropagation:
    return MaskPropagation(MaskPropagation.Config(**{"size": 48, "stride": 4, **settings}), seed=3)


def test_what_moves_by_whole_positions_is_followed_exactly(videos: MaskedVideos) -> None:
    found = probe(k=1, radius=3).score(reader(Cells().eval()), videos)
    assert found.value > 94, "all but some of the ground that an object uncovers"
    identity = found.more["identity"]
    assert found.value > identity["j_and_f"] + 30
    assert identity["j_and_f"] == pytest.approx((identity["region"] + identity["boundary"]) / 2, abs=0.002)
    assert found.value == pytest.approx(np.mean(list(found.more["per_video"].values())), abs=0.002)
    assert found.value == pytest.approx((found.more["region"] + found.more["boundary"]) / 2, abs=0.002)
    assert list(found.more["per_video"]) == ["bear", "cat", "two"]
    assert found.outcomes is not None
    assert len(found.outcomes) == 3
    assert probe().chance(videos) is None


def test_the_identity_is_that_of_the_first_masks(videos: MaskedVideos) -> None:
    found = probe(k=1, radius=3).score(reader(Cells().eval()), videos)
    regions = []
    for i in range(3):
        masks = videos.test.masks(i)
        objects = range(1, int(masks[0].max()) + 1)
        each = []
        for k in objects:
            for t in range(1, FRAMES - 1):  # neither the first nor the last frame counts
                both, either = (masks[0] == k) & (masks[t] == k), (masks[0] == k) | (masks[t] == k)
                each.append(100 * both.sum() / either.sum())
        regions.append(np.mean(each))
    assert found.more["identity"]["region"] == pytest.approx(np.mean(regions), abs=0.001)


def test_j_and_f_are_means_over_frames_and_objects() -> None:
    _, masks = moving_object(0, 2)
    truth = dict(enumerate(masks))
    predicted = np.stack([masks[0]] * (FRAMES - 1))
    found = measure(predicted, truth)
    j, f = [], []
    for k in (1, 2):
        for t in range(1, FRAMES - 1):
            pair = (torch.from_numpy(predicted[t - 1] == k)[None], torch.from_numpy(masks[t] == k)[None])
            j.append(region_similarity(*pair).item())
            f.append(boundary_accuracy(*pair).item())
    assert (found.region, found.boundary) == pytest.approx((100 * np.mean(j), 100 * np.mean(f)))
    two = measure(predicted[:1], {0: masks[0], 1: masks[1]})
    assert 0 < two.region < 100, "of two frames the last one counts"


def test_drawings_are_animations_of_both_masks(videos: MaskedVideos) -> None:
    found = probe(k=1, radius=3).score(reader(Cells().eval()), videos)
    assert {drawn["file"] for drawn in found.more["pictures"]} == found.files.keys()
    for data in found.files.values():
        with Image.open(io.BytesIO(data)) as image:
            assert getattr(image, "n_frames", 1) == FRAMES
            assert image.size == (2 * 64 + 4, 48)


@pytest.mark.parametrize(("name", "stage", "stride"), [("timm:test_resnet", "auto", 8), ("timm:test_vit", "auto", 16)])
def test_networks_of_both_kinds_follow_masks(videos: MaskedVideos, name: str, stage: str, stride: int) -> None:
    encoder = build_encoder(name, size=48).eval()
    found = probe(stage=stage, stride=8).score(reader(encoder, is_random=name.endswith("resnet")), videos)
    assert 0 <= found.value <= 100
    assert found.more["stride"] <= stride
    assert found.interval is not None


def test_a_stage_that_is_no_map_is_refused(videos: MaskedVideos) -> None:
    with pytest.raises(ValueError, match=r"--probe.stage must be auto or one of cells, got 'far'"):
        probe(stage="far").score(reader(Cells()), videos)


def test_real_videos(shared_data: Any) -> None:
    data = open_sequences(
        Asked(
            data=DataSettings(path=str(shared_data("davis240") / "davis240.zip")),
            size=32,
            kind="image",
            needs=frozenset({"mask"}),
        )
    )
    assert len(data.test) == 12
    assert list(data.test.masks(5)) == list(range(40))
    frame = next(data.test.frames(data.test.keys.index("dog")))
    assert frame.shape[0] == 240
