"""Fixtures for all tests: real data where present, a cache of their own, one compute thread's worth of noise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def shared_data() -> Callable[[str], Path]:
    """Path of a real data set beside the checkout, or a skip that says which one is absent."""

    def find(name: str) -> Path:
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"real data set '{name}' is not beside this checkout")
        return path

    return find


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or fills the user's cache."""
    patch = pytest.MonkeyPatch()
    patch.setenv("SELFTAUGHT_CACHE", str(tmp_path_factory.mktemp("cache")))
