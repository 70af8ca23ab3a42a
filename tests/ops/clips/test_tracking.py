"""Tracking: a square on a textured ground is found and followed, and persons in real videos are."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from selftaught.ops.clips.tracking import CoarseFlow, coarse_flow, moving_squares, track


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def texture(n: int, height: int, width: int, seed: int) -> Tensor:
    """Smooth noise (n, 3, height, width) in [0, 255]."""
    coarse = torch.rand(n, 1, height // 4, width // 4, generator=rng(seed))
    return 255 * F.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1).expand(-1, 3, -1, -1)


def moving(n: int = 6, frames: int = 10, step: tuple[int, int] = (1, 2)) -> tuple[Tensor, Tensor]:
    """Clips (N, T, 3, 64, 80) in which a square of 20 pixels moves down and right, and its corner (N, T, 2)."""
    ground, thing = texture(n, 64, 80, 0), texture(n, 20, 20, 1)
    starts = torch.randint(4, 24, (n, 2), generator=rng(2))
    places = starts[:, None] + torch.arange(frames)[:, None] * torch.tensor(step)
    video = ground[:, None].repeat(1, frames, 1, 1, 1)
    for i in range(n):
        for t in range(frames):
            y, x = places[i, t].tolist()
            video[i, t, :, y : y + 20, x : x + 20] = thing[i]
    return video.byte(), places.float()


WHOLE = torch.tensor([[0.0, 0, 64, 80]])


def test_the_moving_square_is_found_and_followed() -> None:
    video, places = moving()
    motion = coarse_flow(video)
    assert motion.flow.shape == (6, 9, 2, 32, 40)
    areas = WHOLE.expand(6, -1)
    squares, speed = moving_squares(motion, areas, 20 / 64, rng())
    assert torch.allclose(squares[:, 2:], torch.tensor(20.0))
    assert float((squares[:, :2] - places[:, 0]).abs().max()) <= 6
    assert bool((speed > 0.05).all())
    path = track(motion, torch.cat([places[:, 0], squares[:, 2:]], 1), areas)
    assert path.shape == (6, 10, 4)
    assert float((path[..., :2] - places).norm(dim=2).mean()) < 2.5
    assert float((places[:, -1] - places[:, 0]).norm(dim=1).min()) > 15


def test_motion_of_the_camera_moves_no_square_but_is_followed() -> None:
    ground = texture(2, 80, 100, 3)
    video = torch.stack([ground[:, :, 4 + t : 68 + t, 2 * t : 80 + 2 * t] for t in range(8)], 1).byte()
    motion = coarse_flow(video)
    speed = moving_squares(motion, WHOLE.expand(2, -1), 0.4, rng())[1]
    assert float(speed.max()) < 0.03
    middle = torch.tensor([[30.0, 40, 20, 20]]).expand(2, -1)
    gone = track(motion, middle, WHOLE.expand(2, -1))[:, -1, :2] - middle[:, :2]
    assert torch.allclose(gone, torch.tensor([-7.0, -14.0]).expand(2, -1), atol=2)


def test_a_step_is_the_mean_flow_within_the_square_and_ends_at_the_area() -> None:
    flow = torch.randn(1, 2, 2, 8, 8, generator=rng())
    motion = CoarseFlow(flow=flow, cell=2)
    square = torch.tensor([[3.0, 4.0, 6.0, 6.0]])
    path = track(motion, square, torch.tensor([[0.0, 0, 16, 16]]))
    total, weight = [0.0, 0.0], 0.0
    for row in range(3, 9):
        for column in range(4, 10):
            weight += 1
            for axis in range(2):
                total[axis] += float(flow[0, 0, axis, row // 2, column // 2])
    assert path[0, 1].tolist() == pytest.approx([3 + total[1] / weight, 4 + total[0] / weight, 6, 6], abs=1e-5)
    strong = CoarseFlow(flow=torch.full((1, 3, 2, 8, 8), 50.0), cell=2)
    assert track(strong, square, torch.tensor([[1.0, 0, 12, 14]]))[0, -1].tolist() == [7, 8, 6, 6]


def test_where_nothing_moves_squares_are_anywhere() -> None:
    motion = CoarseFlow(flow=torch.zeros(400, 3, 2, 16, 16), cell=2)
    squares, speed = moving_squares(motion, torch.tensor([[0.0, 0, 32, 32]]).expand(400, -1), 0.5, rng())
    assert float(speed.max()) == 0
    for corner in squares[:, :2].T:
        assert float(corner.min()) < 2
        assert 7 < float(corner.mean()) < 9
        assert float(corner.max()) > 14


@pytest.mark.slow  # reads and decodes 100 real videos
def test_tracked_squares_stay_on_persons(shared_data: Callable[[str], Path]) -> None:
    root = shared_data("jhmdb14")
    with (root / "labels.csv").open(newline="") as file:
        names = [row["file"] for row in csv.DictReader(file) if int(row["frames"]) >= 16][::6]
    masks = zipfile.ZipFile(root / "masks.zip")
    videos, persons = [], []
    for name in names:
        with av.open(str(root / name)) as video:
            frames = np.stack([frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)][:16])
        packed = np.load(io.BytesIO(masks.read(name[:-4] + ".npy")))[:16]
        videos.append(torch.from_numpy(frames).permute(0, 3, 1, 2))
        persons.append(torch.from_numpy(np.unpackbits(packed, axis=-1, count=170)).float())
    clips, person = torch.stack(videos), torch.stack(persons)
    areas = torch.tensor([[0.0, 0, 128, 170]]).expand(len(clips), -1)
    motion = coarse_flow(clips)
    squares, _ = moving_squares(motion, areas, 0.375, rng())
    path = track(motion, squares, areas)

    def covered(boxes: Tensor, at: int) -> Tensor:
        share = []
        for box, mask in zip(boxes.round().int().tolist(), person[:, at], strict=True):
            share.append(float(mask[box[0] : box[0] + box[2], box[1] : box[1] + box[3]].mean()))
        return torch.tensor(share)

    is_on = covered(squares, 0) > 0.25
    assert float(is_on.float().mean()) > 0.45
    tracked, still = covered(path[:, -1], 15)[is_on], covered(squares, 15)[is_on]
    assert float(tracked.mean()) > float(still.mean()) + 0.02
    assert float((tracked > 0.25).float().mean()) > float((still > 0.25).float().mean()) + 0.05
