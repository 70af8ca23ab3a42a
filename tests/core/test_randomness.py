"""Seeds and generators are functions of their parts, the same on every machine."""

from __future__ import annotations

import hashlib

import numpy as np
import torch

from selftaught.core.randomness import generator, numpy_generator, seed_from, uniform


def test_a_seed_is_63_bits_of_a_digest_of_its_parts() -> None:
    whole = int.from_bytes(hashlib.blake2b(b"(3, 'crops', 12)", digest_size=8).digest(), "little")
    assert seed_from(3, "crops", 12) == whole >> 1 < 2**63


def test_every_part_and_their_order_count() -> None:
    parts: list[tuple[int | str, ...]] = [(), (1,), ("1",), (1, 2), (2, 1), ("1, 2",), (12,)]
    assert len({seed_from(*some) for some in parts}) == 7


def test_generators_give_the_same_numbers_each_time_and_leave_the_global_ones_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first, again = (torch.rand(3, generator=generator(5, "x")) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, torch.rand(3, generator=generator(5, "y")))
    assert np.array_equal(numpy_generator(5, "x").random(3), np.random.default_rng(seed_from(5, "x")).random(3))
    assert torch.equal(torch.get_rng_state(), before)


def test_uniform_numbers_fill_their_range() -> None:
    drawn = uniform((20_000,), -2.0, 3.0, generator("uniform"))
    assert -2.0 <= float(drawn.min()) < -1.99
    assert 2.99 < float(drawn.max()) < 3.0
    assert abs(float(drawn.mean()) - 0.5) < 0.05
    assert abs(float(drawn.var()) - 25 / 12) < 0.05
