"""NumPy files read by threads: what NumPy wrote comes back, cut files and objects are refused, headers take turns."""

from __future__ import annotations

import gc
import io
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from selftaught.data.decode.npy import map_npy, read_header, read_npy


def _written(array: NDArray[Any]) -> io.BytesIO:
    file = io.BytesIO()
    np.save(file, array)
    file.seek(0)
    return file


@pytest.mark.parametrize("kind", ["<f4", ">u2", "?", "<U5"])
@pytest.mark.parametrize("shape", [(), (0, 3), (4, 5, 3)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_what_numpy_wrote_comes_back(tmp_path: Path, kind: str, shape: tuple[int, ...], order: Any) -> None:
    array = np.asarray(np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(kind), order=order)
    found = read_npy(_written(array))
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)
    if array.size:
        np.save(tmp_path / "a.npy", array)
        with (tmp_path / "a.npy").open("rb") as file:
            np.testing.assert_array_equal(map_npy(str(tmp_path / "a.npy"), file), array)


def test_cut_files_and_objects_are_refused() -> None:
    whole = _written(np.arange(100)).getvalue()
    with pytest.raises(ValueError, match="790 bytes instead of 800: it is cut"):
        read_npy(io.BytesIO(whole[:-10]))
    with pytest.raises(ValueError, match="EOF"):
        read_npy(io.BytesIO(whole[:50]))
    with pytest.raises(ValueError, match="Python objects"):
        read_npy(_written(np.array([{}, None], dtype=object)))


class _Cycle:
    """Lets another thread run wherever the garbage collector finds it, as any object with a destructor may."""

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        time.sleep(0)


def test_threads_may_read_headers_at_the_same_time() -> None:
    data = _written(np.zeros((40, 44, 5), np.float32)).getvalue()

    def shapes(_: int) -> set[tuple[int, ...]]:
        found = set()
        for _ in range(25):
            _Cycle()
            found.add(read_header(io.BytesIO(data)).shape)
        return found

    usual = gc.get_threshold()
    gc.set_threshold(5)
    try:
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(shapes, range(8)))
    finally:
        gc.set_threshold(*usual)
    assert found == [{(40, 44, 5)}] * 8
