"""Images of more than 8 bits: the range that becomes 0 to 255, and what becomes of values and transparency."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from selftaught.core.settings.values import ValueRange
from selftaught.data.decode.high_depth import choose_range, quieten_opencv, to_uint8
from selftaught.data.decode.image import Decoding


def test_a_range_is_that_of_the_bits_or_of_the_data() -> None:
    rng = np.random.default_rng(0)

    def integers(low: int, high: int) -> np.ndarray[Any, Any]:
        return rng.integers(low, high + 1, (80, 80, 1)).astype(np.uint16)

    assert choose_range([integers(0, 4095)]) == ValueRange(0, 4095)
    assert choose_range([integers(0, 255)]) == ValueRange(0, 255)
    assert choose_range([integers(0, 900), integers(0, 64000)]) == ValueRange(0, 65535)
    hounsfield = rng.integers(-1000, 2000, (80, 80, 1)).astype(np.int16)
    low, high = choose_range([hounsfield])
    assert -1000 <= low < -980
    assert 1980 < high <= 2000
    floats = rng.random((80, 80, 1)).astype(np.float32)
    assert choose_range([floats]) == ValueRange(0, 1)
    floats[0, 0] = np.nan
    floats[0, 1] = np.inf
    assert choose_range([floats]) == ValueRange(0, 1)
    flat = choose_range([np.full((8, 8, 1), 7, np.uint16)])
    assert flat.low < flat.high


def test_opencv_four_and_five_are_quietened(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[int, int]] = []
    older = SimpleNamespace(utils=SimpleNamespace(), setLogLevel=lambda level: said.append((4, level)))
    logging = SimpleNamespace(setLogLevel=lambda level: said.append((5, level)))
    for version in (older, SimpleNamespace(utils=SimpleNamespace(logging=logging))):
        monkeypatch.setattr("selftaught.data.decode.high_depth.cv2", version)
        quieten_opencv()
    assert said == [(4, 0), (5, 0)]


def test_values_become_levels_and_transparency_white() -> None:
    ramp = np.arange(4096, dtype=np.uint16).reshape(64, 64, 1)
    for kind in (np.uint16, np.int16, np.int32, np.float32, np.float64):
        shown = to_uint8(ramp.astype(kind), ValueRange(0, 4095))
        assert shown.shape == (64, 64, 3)
        assert np.array_equal(shown[:, :, 0].ravel(), np.floor(ramp.ravel() / 4095 * 255 + 0.5))
    assert to_uint8(np.array([[[np.nan], [-np.inf], [np.inf], [0.5]]]), None)[0, :, 0].tolist() == [0, 0, 255, 128]
    clear = np.zeros((1, 2, 4), np.uint16)
    clear[0, 1, 3] = 65535
    assert to_uint8(clear, None)[0, :, 0].tolist() == [255, 0]
    assert to_uint8(ramp, ValueRange(0, 4095), is_inverted=True)[0, 0, 0] == 255


def test_eight_bits_are_never_changed() -> None:
    from selftaught.data.decode.image import decode_image

    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    data = cv2.imencode(".png", image[:, :, ::-1])[1].tobytes()
    assert np.array_equal(decode_image(data, decoding=Decoding(ValueRange(50, 60))), image)
