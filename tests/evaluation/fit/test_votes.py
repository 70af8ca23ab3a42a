from __future__ import annotations

import math

import pytest
import torch

from selftaught.core.randomness import generator
from selftaught.evaluation.fit.votes import vote, votes


def data() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = generator("knn")
    return (
        torch.randn(40, 6, generator=rng),
        torch.randint(0, 4, (40,), generator=rng),
        torch.randn(9, 6, generator=rng),
    )


def test_vote_equals_loops() -> None:
    known, labels, asked = data()
    expected = []
    for row in asked.tolist():
        cosines = []
        for other, label in zip(known.tolist(), labels.tolist(), strict=True):
            dot = sum(a * b for a, b in zip(row, other, strict=True))
            norms = math.sqrt(sum(a * a for a in row)) * math.sqrt(sum(b * b for b in other))
            cosines.append((dot / norms, label))
        cast = dict.fromkeys(range(4), 0.0)
        for cosine, label in sorted(cosines, reverse=True)[:5]:
            cast[label] += math.exp(cosine / 0.07)
        expected.append(max(cast, key=lambda k: cast[k]))
    assert vote(known, labels, asked, k=5, temperature=0.07).tolist() == expected
    counted = votes(known, labels, asked, k=5, temperature=0.07)
    assert counted.argmax(1).tolist() == expected
    assert counted.shape == (9, 4)


def test_vote_equals_lightlys() -> None:
    knn = pytest.importorskip("lightly.utils.benchmarking", reason="lightly is not installed")
    known, labels, asked = data()
    unit = torch.nn.functional.normalize
    theirs = knn.knn_predict(unit(asked), unit(known).T, labels, num_classes=4, knn_k=7, knn_t=0.1)[:, 0]
    assert torch.equal(vote(known, labels, asked, k=7, temperature=0.1), theirs)


def test_more_neighbours_than_samples_are_all_samples() -> None:
    known, labels, asked = data()
    assert torch.equal(
        vote(known, labels, asked, k=999, temperature=1.0), vote(known, labels, asked, k=40, temperature=1.0)
    )


def test_no_temperature_is_too_small() -> None:
    """As T goes to 0 the nearest sample alone decides; exp(1 / T) itself would overflow."""
    known, labels, asked = data()
    nearest = labels[(torch.nn.functional.normalize(asked) @ torch.nn.functional.normalize(known).T).argmax(1)]
    assert torch.equal(vote(known, labels, asked, k=20, temperature=1e-4), nearest)
