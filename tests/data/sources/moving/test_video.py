"""Drawn frames: what moves is where its factors say, which is measured from the pixels alone."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from selftaught.data.sources.moving.motion import DIRECTIONS, SPEEDS
from selftaught.data.sources.moving.source import MovingSequences
from selftaught.data.sources.open import open_source
from tests.data.trees import encoded, picture

VIDEO = frozenset({"video"})


def opened(name: str, split: str = "train") -> MovingSequences:
    source = open_source(name, split=split, needs=VIDEO, held_out=0.3)
    assert isinstance(source, MovingSequences)
    return source


def frames(source: MovingSequences, i: int) -> NDArray[np.float64]:
    video = source.read(i)
    drawn = [frame for frame in video.frames(range(video.count)) if isinstance(frame, np.ndarray)]
    assert len(drawn) == video.count
    return np.stack(drawn).astype(np.float64)


def velocity(clip: NDArray[np.float64], ground: NDArray[np.float64] | float = 0.0) -> NDArray[np.float64]:
    """Pixels a frame, down and right, of what differs from the ground, in the frames in the middle of a clip."""
    inner = clip[len(clip) // 4 : -len(clip) // 4]
    apart = np.abs(inner - ground).sum(-1)
    apart[apart < 20] = 0
    y, x = np.mgrid[: clip.shape[1], : clip.shape[2]]
    centre = np.stack([(apart * y).sum((1, 2)), (apart * x).sum((1, 2))], 1) / apart.sum((1, 2))[:, None]
    return np.asarray(np.polyfit(np.arange(len(inner)), centre, 1)[0])


def test_direction_and_speed_can_be_measured() -> None:
    source = opened("moving:digits,videos=48,side=64")
    for i in range(48):
        found = velocity(frames(source, i))
        known = source.factors[i]
        assert np.allclose(found, known.velocity, atol=0.01)
        sector = round(np.degrees(np.arctan2(-found[0], found[1])) / 45) % 8
        assert DIRECTIONS[sector] == (source.classes or ())[source.entries[i].label or 0]
    speeds = opened("moving:digits,videos=48,label=speed")
    measured = np.array([np.hypot(*velocity(frames(speeds, i))) for i in range(48)]) / 64 * 160
    assert [SPEEDS[round(np.log2(one))] for one in measured] == [
        (speeds.classes or ())[entry.label or 0] for entry in speeds.entries
    ]


@pytest.mark.parametrize("ground", ["texture", "photo"])
def test_fast_objects_are_where_they_should_be_before_any_ground(ground: str) -> None:
    source = opened(f"moving:synthetic:N=40,ground={ground},videos=48")
    for i in range(16, 24):  # the fast ones
        clip = frames(source, i)
        found = velocity(clip, np.median(clip, axis=0))
        assert round(np.degrees(np.arctan2(-found[0], found[1])) / 45) % 8 == source.factors[i].direction


def test_a_drifting_ground_moves_as_it_should() -> None:
    source = opened("moving:digits,ground=texture,camera=drift,videos=8")
    for i in range(8):
        clip, drift = frames(source, i).mean(-1), source.factors[i].drift
        y, x = np.array(drift) * 10
        back = cv2.warpAffine(clip[20], np.array([[1, 0, -x], [0, 1, -y]]), (64, 64))
        rows, columns = np.mgrid[:64, :64] + 0.5
        centres = source.factors[i].centre[10], source.factors[i].centre[20] - (y, x)
        free = np.all([np.hypot(rows - at[0], columns - at[1]) > 20 for at in centres], axis=0)
        free[:6], free[-6:], free[:, :6], free[:, -6:] = (False,) * 4
        assert free.sum() > 500
        assert np.abs(back - clip[10])[free].mean() < 0.15 * np.abs(clip[20] - clip[10])[free].mean()
        assert 0.25 <= np.hypot(*drift) <= 0.5
    assert np.ptp(frames(opened("moving:digits,videos=8"), 0)[:, 0, 0]) == 0  # a still one stands still


def test_an_object_is_as_sharp_between_pixels_as_on_them() -> None:
    clip = frames(opened("moving:digits,videos=8"), 0).mean(-1)  # slow, to the right
    edges = np.abs(np.diff(clip, axis=2)).sum((1, 2))
    assert edges.std() < 0.03 * edges.mean()


def test_a_broken_photograph_breaks_its_videos_with_its_reason(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{number}.png").write_bytes(encoded(picture(number)) if number % 8 else b"broken")
    source = opened(f"moving:{tmp_path},videos=60")
    faults = {i: {str(frame) for frame in source.read(i).frames(range(3)) if not isinstance(frame, np.ndarray)}
              for i in range(60)}  # fmt: skip
    assert 2 < sum(bool(fault) for fault in faults.values()) < 40
    assert {reason for fault in faults.values() for reason in fault} == {"not an image in a known format"}
