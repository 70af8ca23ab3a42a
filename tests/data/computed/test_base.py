"""A program's settings and the size of its maps."""

from __future__ import annotations

from selftaught.data.computed.moving_mask import MovingMask
from selftaught.data.computed.optical_flow import OpticalFlow


def test_settings_are_the_fields() -> None:
    assert MovingMask(threshold=2).settings() == "[('camera', 'homography'), ('preset', 'medium'), ('threshold', 2)]"
    assert OpticalFlow().settings() != OpticalFlow(preset="fast").settings()


def test_maps_of_half_resolution_cover_odd_sides() -> None:
    assert OpticalFlow().map_size(33, 48) == (17, 24)
