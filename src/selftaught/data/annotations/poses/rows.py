"""Rows of numbers in text files."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

_BETWEEN = re.compile(r"[,;\s]+")


def read_rows(text: str, file: str, columns: int) -> NDArray[np.float64]:
    """(M, columns) the first numbers of each line that is no comment (#); a ValueError names the file and line."""
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        words = [word for word in _BETWEEN.split(line.strip()) if word]
        if len(words) < columns:
            raise ValueError(f"line {number} of {file} must have {columns} numbers, got {len(words)}")
        try:
            rows.append([float(word) for word in words[:columns]])
        except ValueError:
            raise ValueError(f"line {number} of {file} holds what is no number") from None
    return np.array(rows, np.float64).reshape(-1, columns)
