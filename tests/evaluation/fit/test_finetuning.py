"""How the learning rate of fine-tuning is chosen; the rest is tested with the probe `finetune`."""

from __future__ import annotations

import numpy as np

from selftaught.evaluation.fit.finetuning import held_back_by_class


def test_held_back_samples_are_a_share_of_every_class() -> None:
    labels = np.repeat(np.arange(4), (1, 2, 10, 100))
    held = held_back_by_class(labels, 0)
    assert [int(held[labels == k].sum()) for k in range(4)] == [0, 1, 2, 20]
    assert np.array_equal(held, held_back_by_class(labels, 0))
    assert not np.array_equal(held, held_back_by_class(labels, 1))
    many = held_back_by_class(np.arange(5000) % 5, 0)
    assert many.sum() == 500
    assert held_back_by_class(np.zeros(200_000, np.int64), 0).sum() == 10_000
