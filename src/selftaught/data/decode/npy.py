"""NumPy's `.npy` format, read by several threads at once, and what damaged files of it raise.

Python 3.11 (seen with 3.11.7) shares one counter among all threads that parse literals, and NumPy parses the header of
a file as one, so that two threads which read headers at the same time could fail with "AST constructor recursion depth
mismatch" (CPython issue 106905). Headers are therefore read one after another; the numbers behind them are not.
"""

from __future__ import annotations

import math
import threading
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_ONE_AT_A_TIME = threading.Lock()
_MOST_BYTES = 2**62


class Header(NamedTuple):
    """What stands before the numbers of an array."""

    shape: tuple[int, ...]
    kind: np.dtype[Any]
    is_fortran: bool


def read_header(file: IO[bytes]) -> Header:
    """The header; the file then stands at the first number. A ValueError where it is none or holds Python objects."""
    try:
        with _ONE_AT_A_TIME:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, is_fortran, kind = read(file)
    except (SyntaxError, TokenError) as broken:  # which NumPy lets through, though it promises ValueErrors
        raise ValueError(f"its header cannot be read: {broken}") from None
    if kind.hasobject:
        raise ValueError("it holds Python objects, which are not loaded")
    if min(shape, default=0) < 0 or math.prod(shape) * kind.itemsize > _MOST_BYTES:
        raise ValueError(f"nothing has the shape {shape}")
    return Header(shape, kind, is_fortran)


def read_npy(file: IO[bytes]) -> NDArray[Any]:
    """The whole array of an open file or member of an archive; a ValueError where it is cut or holds Python objects."""
    shape, kind, is_fortran = read_header(file)
    count = math.prod(shape)
    data = bytearray(file.read(count * kind.itemsize))
    if len(data) < count * kind.itemsize:
        raise ValueError(f"{len(data)} bytes instead of {count * kind.itemsize}: it is cut")
    return np.frombuffer(data, kind, count).reshape(shape, order="F" if is_fortran else "C")


def load_npy(path: Path) -> NDArray[Any]:
    """The array of a whole file, mapped and not read; a ValueError where it is damaged."""
    with path.open("rb") as file:
        return map_npy(str(path), file)


def map_npy(path: str, file: IO[bytes]) -> NDArray[Any]:
    """The array whose header is next in `file`, an open handle of `path`, mapped and not read."""
    shape, kind, is_fortran = read_header(file)
    return np.memmap(path, kind, "r", file.tell(), shape, "F" if is_fortran else "C")
