from __future__ import annotations

import pytest
import torch
from torch import Tensor

from selftaught.core.randomness import generator
from selftaught.tasks.parts.running_histogram import RunningHistogram

CLASSES = 7


def batches() -> torch.Tensor:
    return torch.randint(0, CLASSES - 1, (3, 8, 5), generator=generator("classes"))


def test_share_is_that_of_all_batches_and_goes_on_after_a_resume() -> None:
    histogram = RunningHistogram(CLASSES)
    assert histogram.share.tolist() == pytest.approx([1 / CLASSES] * CLASSES)
    for batch in batches()[:2]:
        histogram.add(batch)
    resumed = RunningHistogram(CLASSES)
    resumed.load_state_dict(histogram.state_dict())
    for each in (histogram, resumed):
        each.add(batches()[2])
        counts = torch.bincount(batches().flatten(), minlength=CLASSES)
        torch.testing.assert_close(each.share, counts / counts.sum())
    assert torch.equal(histogram.share, resumed.share)


def test_weights_count() -> None:
    histogram = RunningHistogram(3)
    histogram.add(torch.tensor([[0, 1], [1, 2]]), torch.tensor([[3.0, 1.0], [1.0, 5.0]]))
    assert histogram.share.tolist() == pytest.approx([0.3, 0.2, 0.5])


def test_surprise_is_finite_for_what_has_not_occurred() -> None:
    histogram = RunningHistogram(3)
    histogram.add(torch.tensor([0, 0, 0, 1]))
    surprise = histogram.surprise()
    assert surprise[:2].exp().reciprocal().tolist() == pytest.approx([0.75, 0.25], abs=1e-3)
    assert 7 < float(surprise[2]) < 9


def test_two_processes_hold_what_one_would(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process adds its half; what it gathers are the counts of both."""
    alone, first = RunningHistogram(CLASSES), RunningHistogram(CLASSES)
    for batch in batches():
        alone.add(batch)
    for batch in batches():
        halves = batch.chunk(2)
        counts = torch.stack([torch.bincount(half.flatten(), minlength=CLASSES).float() for half in halves])

        def both(rows: Tensor, counts: Tensor = counts) -> Tensor:
            assert torch.equal(rows, counts[:1])
            return counts

        monkeypatch.setattr("selftaught.tasks.parts.running_histogram.gather_rows", both)
        first.add(halves[0])
    torch.testing.assert_close(first.share, alone.share)
    assert torch.equal(first.batches, alone.batches)
