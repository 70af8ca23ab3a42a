"""The first share of a run's steps."""

from __future__ import annotations

import torch

from selftaught.tasks.parts.first_steps import FirstSteps


def test_the_last_step_is_never_one_of_the_first_ones() -> None:
    """What comes after the first steps happens in a short run, too."""
    for total, expected in ((1, 1), (2, 1), (3, 2), (4, 3), (10, 8), (100, 80)):
        first = FirstSteps(0.8)
        assert first.has(0) is None
        first.after_step(total)
        assert [first.has(step) for step in range(total)] == [step < expected for step in range(total)]


def test_the_share_is_known_after_the_first_step_and_kept_by_the_state() -> None:
    first = FirstSteps(0.25)
    assert first.has(0) is None
    first.after_step(20)
    assert [first.has(step) for step in (0, 4, 5, 19)] == [True, True, False, False]
    first.after_step(1000)  # the length may change on the way; what was fixed stays
    assert first.has(5) is False
    again = FirstSteps(0.25)
    again.load_state_dict(first.state_dict())
    assert again.has(4) is True
    assert torch.equal(again.until, torch.tensor(5))
