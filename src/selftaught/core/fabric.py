"""Lightning Fabric, imported without torchmetrics.

Fabric asks for the version of torchmetrics by importing it where it is installed, and with it matplotlib and more of
scipy: over a second of each start.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

__all__ = ["Fabric", "ModelParallelStrategy", "Strategy"]


@contextmanager
def _only_version_of(package: str) -> Iterator[None]:
    """Who imports the package in here finds its version and nothing else; afterwards it is imported as ever."""
    try:
        found = None if package in sys.modules else version(package)
    except PackageNotFoundError:
        found = None
    if found is None:
        yield
        return
    stand_in = ModuleType(package)
    stand_in.__dict__["__version__"] = found
    sys.modules[package] = stand_in
    try:
        yield
    finally:
        del sys.modules[package]


with _only_version_of("torchmetrics"):
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.model_parallel import ModelParallelStrategy
    from lightning_fabric.strategies.strategy import Strategy
