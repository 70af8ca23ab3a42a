"""Retrieval of videos by averaged clips, against plain loops."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from selftaught.encoders.modality import encoder_view
from selftaught.evaluation.probes.clip_retrieval import ClipRetrieval
from selftaught.features.encode import sample_batches
from tests.evaluation.drawn_classes import TwoStages
from tests.evaluation.moving_squares import MovingSquares, TwoClipStages, clip_reader, moving_data


def probe(**settings: Any) -> ClipRetrieval:
    return ClipRetrieval(ClipRetrieval.Config(**settings), seed=3)


def vectors(samples: MovingSquares, encoder: TwoClipStages, clips: int) -> list[list[float]]:
    """The maximum of each channel over time and space, averaged over the clips."""
    total = torch.zeros(len(samples), 12)
    for views in sample_batches(samples, batch_size=len(samples), device=torch.device("cpu"), clips=clips):
        for batch in views:
            with torch.no_grad():
                total += encoder.forward_features(encoder_view(encoder, batch.inputs, 16)).amax((2, 3, 4)) / clips
    return [list(map(float, row)) for row in total]


def cosine(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def test_recall_at_each_rank_equals_loops() -> None:
    data, encoder = moving_data(60, 30), TwoClipStages().eval()
    assert isinstance(data.train, MovingSquares)
    assert isinstance(data.test, MovingSquares)
    known, asked = (vectors(samples, encoder, 3) for samples in (data.train, data.test))
    found = probe(clips=3).score(clip_reader(encoder), data)
    assert data.train.labels is not None
    assert data.test.labels is not None
    assert list(found.more["recall"]["peaks"]) == ["1", "5", "10", "20", "50"]
    for k, value in found.more["recall"]["peaks"].items():
        hits = 0
        for row, label in zip(asked, data.test.labels, strict=True):
            ranked = sorted(range(60), key=lambda i: -cosine(row, known[i]))
            hits += any(data.train.labels[i] == label for i in ranked[: int(k)])
        assert value == pytest.approx(100 * hits / 30, abs=3.4), "at most one query has a tie in float16"
    assert found.value == found.more["recall"]["peaks"]["1"]
    assert probe().chance(data) == pytest.approx(100 / 6)


def test_ranks_that_hold_every_training_video_are_left_out() -> None:
    found = probe(clips=1).score(clip_reader(), moving_data(12, 6))
    assert list(found.more["recall"]["peaks"]) == ["1", "5", "10"]


def test_the_gallery_moves() -> None:
    found = probe(clips=1, shown=2, neighbours=3).score(clip_reader(), moving_data(12, 6))
    assert [len(shown["nearest"]) for shown in found.more["gallery"]] == [3, 3]
    for shown in found.more["gallery"]:
        for entry in (shown, *shown["nearest"]):
            with Image.open(io.BytesIO(found.files[entry["picture"]])) as image:
                assert getattr(image, "n_frames", 1) == 4
        for near in shown["nearest"]:
            assert near["right"] == (near["label"] == shown["label"])


def test_pooled_features_groups_and_encoders_of_images() -> None:
    data = moving_data(24, 12, with_groups=True)
    pooled = probe(clips=2, features="pooled").score(clip_reader(), data)
    assert (pooled.stage, pooled.more["resampled"], pooled.outcomes) == ("pooled", "4 groups", None)
    images = probe(clips=2).score(clip_reader(TwoStages().eval()), moving_data(24, 12))
    assert images.more["queries"] == 12
    assert images.outcomes is not None
    assert np.isclose(images.outcomes.mean(), images.value, atol=1e-3)
