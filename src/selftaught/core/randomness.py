"""All randomness is a function of (seed, step, rank): explicit generators, never the global one."""

from __future__ import annotations

import hashlib

import numpy as np
import torch


def seed_from(*parts: int | str) -> int:
    """A 63-bit seed from any path of numbers and words; the same on every machine."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator(*parts: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator on `device`, seeded by `parts`."""
    return torch.Generator(device=device).manual_seed(seed_from(*parts))


def numpy_generator(*parts: int | str) -> np.random.Generator:
    """A NumPy generator seeded by `parts`."""
    return np.random.default_rng(seed_from(*parts))


def uniform(shape: tuple[int, ...], low: float, high: float, rng: torch.Generator) -> torch.Tensor:
    """Uniform numbers in [low, high) on the generator's device."""
    return torch.rand(shape, generator=rng, device=rng.device) * (high - low) + low
