"""Files of flow are read back as written, and what is none is named."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from selftaught.data.annotations.flo import read_flo, write_flo


def test_flow_is_read_back() -> None:
    flow = np.random.default_rng(0).normal(0, 5, (4, 6, 2)).astype(np.float32)
    data = write_flo(flow)
    assert data[:12] == b"PIEH" + struct.pack("<ii", 6, 4)
    assert np.array_equal(read_flo(data, "a.flo"), flow)


def test_what_is_no_flow_is_named() -> None:
    data = write_flo(np.zeros((4, 6, 2), np.float32))
    with pytest.raises(ValueError, match=r"^a\.flo does not begin as a \.flo file does$"):
        read_flo(b"PNG" + data, "a.flo")
    with pytest.raises(ValueError, match=r"^a\.flo has 200 bytes, but 6 x 4 pixels take 204$"):
        read_flo(data[:-4], "a.flo")
    with pytest.raises(ValueError, match=r"^a\.flo says that it is -6 x 4 pixels$"):
        read_flo(data[:4] + struct.pack("<ii", -6, 4) + data[12:], "a.flo")
