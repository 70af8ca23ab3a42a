"""Exceptions of damaged archives: all that cut and changed ones raise, and their names cost no import of NumPy."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np

from selftaught.data.decode.npz_damage import NPZ_DAMAGE


def test_a_cut_or_changed_archive_raises_nothing_else() -> None:
    file = io.BytesIO()
    np.savez_compressed(file, a=np.arange(50), b=np.zeros((3, 4), np.float32))
    whole = file.getvalue()
    wrong = 0
    for at in range(0, len(whole), 3):
        for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 0x5A]) + whole[at + 1 :]):
            try:
                with np.load(io.BytesIO(damaged), allow_pickle=False) as arrays:
                    _ = [arrays[name] for name in arrays.files]
            except (*NPZ_DAMAGE, SyntaxError):
                wrong += 1
    assert wrong > len(whole) / 3


def test_naming_them_imports_no_numpy() -> None:
    code = "import sys, selftaught.data.store.cache; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
