"""What public functions take as files, data and encoders, for type checkers. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

File = str | Path


class Items(Protocol):
    """A data set of map style, such as a `torch.utils.data.Dataset`, whose items are an image or (image, class).

    That it has a length too is checked when it is read, as the class `Dataset` declares none.
    """

    def __getitem__(self, row: int, /) -> Any: ...


class Network(Protocol):
    """A `torch.nn.Module`."""

    def parameters(self, recurse: bool = True) -> Iterator[Any]: ...

    def modules(self) -> Iterator[Any]: ...


Data = str | Path | Items
"""A path, a name or a URL, or a data set of Python; a flag takes text."""
