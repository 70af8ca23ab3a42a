"""Global random states, which no task draws from: watched, and kept as they were."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


@contextmanager
def no_global_numbers(name: str, part: str, *, torch_too: bool = False) -> Iterator[None]:
    """Refuse, in a sentence about `part` of the task, that what is within draws from a global random state.

    Torch's may be used where layers such as dropout do, which the loop seeds at each step.
    """
    before = _random_states()
    yield
    after = _random_states()
    for library in after:
        if before[library] != after[library] and (torch_too or library != "torch"):
            raise ValueError(
                f"task {name!r}: {part} draws from the global random numbers of {library}; draw them in pseudo_label, "
                f"from the generator it is given, as in torch.rand(n, generator=rng)"
            )


def _random_states() -> dict[str, Any]:
    words = np.random.get_state()
    return {
        "torch": torch.random.get_rng_state().numpy().tobytes(),
        "numpy": (words[1].tobytes(), words[2:]),  # type: ignore[index]
        "random": random.getstate(),
    }


@contextmanager
def random_states_kept() -> Iterator[None]:
    """The global random states of torch, NumPy and Python are after it as they were before."""
    of_numpy, of_python = np.random.get_state(), random.getstate()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        np.random.set_state(of_numpy)
        random.setstate(of_python)
