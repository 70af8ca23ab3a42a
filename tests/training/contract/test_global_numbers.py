from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch

from selftaught.training.contract.global_numbers import no_global_numbers, random_states_kept

DRAWS: dict[str, Callable[[], object]] = {
    "torch": lambda: torch.rand(1),
    "numpy": lambda: np.random.rand(),
    "random": random.random,
}


@pytest.mark.parametrize("library", DRAWS)
def test_a_draw_from_a_global_state_is_named(library: str) -> None:
    sentence = f"^task 'mine': forward draws from the global random numbers of {library};"
    watched = no_global_numbers("mine", "forward", torch_too=True)
    with random_states_kept(), pytest.raises(ValueError, match=sentence), watched:
        DRAWS[library]()


def test_draws_of_an_own_generator_and_of_layers_in_training_are_allowed() -> None:
    with random_states_kept():
        with no_global_numbers("mine", "forward", torch_too=True):
            torch.rand(1, generator=torch.Generator().manual_seed(0))
            np.random.default_rng(0).random()
            random.Random(0).random()
        with no_global_numbers("mine", "forward"):
            torch.nn.functional.dropout(torch.ones(8))


@pytest.mark.parametrize("library", DRAWS)
def test_states_are_kept_also_where_the_content_fails(library: str) -> None:
    with random_states_kept():
        expected = DRAWS[library]()
    with pytest.raises(ZeroDivisionError), random_states_kept():
        assert DRAWS[library]() == 1 / 0
    with random_states_kept():
        assert DRAWS[library]() == expected
