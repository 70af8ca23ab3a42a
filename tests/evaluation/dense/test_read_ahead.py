"""Batches that threads prepare ahead: in order, few at a time, and none after an end."""

from __future__ import annotations

import threading
import time

import pytest

from selftaught.evaluation.dense.read_ahead import read_ahead


def test_results_come_in_order_whichever_is_ready_first() -> None:
    def make(i: int) -> int:
        time.sleep(0.002 * (i % 3))
        return i

    assert list(read_ahead(make, 20)) == list(range(20))
    assert list(read_ahead(make, 0)) == []


def test_no_more_are_prepared_than_may_wait() -> None:
    made: list[int] = []
    found = read_ahead(lambda i: made.append(i) or i, 100, threads=2, ahead=3)  # type: ignore[func-returns-value]
    assert [next(found), next(found)] == [0, 1]
    time.sleep(0.05)
    assert max(made) <= 1 + 3
    found.close()  # type: ignore[attr-defined]
    assert len(made) <= 6


def test_an_error_is_raised_where_its_batch_would_be() -> None:
    def make(i: int) -> int:
        if i == 2:
            raise ValueError("broken")
        return i

    before = threading.enumerate()  # other tests may have left some
    found = read_ahead(make, 5)
    assert [next(found), next(found)] == [0, 1]
    with pytest.raises(ValueError, match="broken"):
        next(found)
    assert set(threading.enumerate()) <= set(before)
