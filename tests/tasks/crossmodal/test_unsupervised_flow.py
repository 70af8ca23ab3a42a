"""Unsupervised flow: the terms of the loss against loops, occlusion, and learning the motion of textures."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from selftaught.data.batch import Batch
from selftaught.encoders.base import Encoder
from selftaught.ops.colour import denormalise, to_grey
from selftaught.ops.flow import warp
from selftaught.tasks.crossmodal.unsupervised_flow import (
    Example,
    UnsupervisedFlow,
    census,
    hamming,
    resized_flow,
    roughness,
)
from tests.tasks.clips import check_halves, check_run, fit, rng

Config = UnsupervisedFlow.Config
Task = Callable[..., UnsupervisedFlow]


@pytest.fixture
def task(tiny_encoder: Callable[[], Encoder]) -> Task:
    def make(**settings: Any) -> UnsupervisedFlow:
        return UnsupervisedFlow(tiny_encoder(), Config(**{"min_scale": 1.0, "width": 32, **settings}), 32)

    return make


def shifted(n: int, seed: int) -> tuple[Batch, Tensor]:
    """Two frames of a texture that moves by whole pixels, up to 3 along each axis, and the motion (N, 2)."""
    rand = rng(seed)
    ground = F.interpolate(torch.rand(n, 3, 16, 16, generator=rand), (48, 48), mode="bicubic").clamp(0, 1) * 255
    motion = torch.randint(-3, 4, (n, 2), generator=rand)
    second = torch.stack([ground[k, :, 8 - y : 40 - y, 8 - x : 40 - x] for k, (x, y) in enumerate(motion.tolist())])
    video = torch.stack([ground[:, :, 8:40, 8:40], second], 1).byte()
    return Batch(index=torch.arange(n), inputs={"video": video}), motion.float()


def rho(x: float) -> float:
    return float((x**2 + 1e-6) ** 0.45)


def test_census_distance_against_loops() -> None:
    first, second = 255 * torch.rand(2, 1, 9, 9, generator=rng(1))
    found = hamming(census(first[None]), census(second[None]))[0, 0]
    for y in range(3, 6):
        for x in range(3, 6):
            total = 0.0
            for dy in range(-3, 4):
                for dx in range(-3, 4):
                    ternary = []
                    for image in (first[0], second[0]):
                        difference = float(image[y + dy, x + dx] - image[y, x])
                        ternary.append(difference / math.sqrt(0.81 + difference**2))
                    squared = (ternary[0] - ternary[1]) ** 2
                    total += squared / (0.1 + squared)
            assert float(found[y, x]) == pytest.approx(total, rel=1e-4)


def test_census_of_a_brighter_frame_with_more_contrast_is_nearly_the_same() -> None:
    grey = 20 + 150 * torch.rand(1, 1, 16, 16, generator=rng(1))
    other = 255 * torch.rand(1, 1, 16, 16, generator=rng(2))
    same = hamming(census(grey), census(1.2 * grey + 10)).mean()
    assert float(same) < 0.05 * float(hamming(census(grey), census(other)).mean())


def test_roughness_against_loops() -> None:
    flow = torch.randn(1, 2, 4, 5, generator=rng(1))
    total = 0.0
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        for y in range(1, 3):
            for x in range(1, 4):
                for c in (0, 1):
                    f = flow[0, c]
                    total += rho(float(f[y - dy, x - dx] - 2 * f[y, x] + f[y + dy, x + dx]))
    assert float(roughness(flow)) == pytest.approx(total / (4 * 6), rel=1e-5)


def test_the_loss_against_loops(task: Task) -> None:
    """Two constant flows that do not agree at the left half, where pixels are occluded."""
    made = task()
    made.after_step(99, 100)
    batch, _ = shifted(1, 3)
    example = made.pseudo_label(batch, rng())
    forwards = torch.tensor([1.0, 0.0])[None, :, None, None].expand(1, 2, 32, 32).clone()
    backwards = -forwards
    backwards[..., :16] = 3
    flow = torch.cat([forwards, backwards])
    found = made.loss([flow], example)
    grey = 255 * to_grey(denormalise(example.images))
    total = hidden = 0.0
    for n in (0, 1):
        own, other = flow[n : n + 1], flow[1 - n : 2 - n]
        distance = hamming(census(grey[n : n + 1]), census(warp(grey[1 - n : 2 - n], own)))[0, 0]
        back = warp(other, own)[0]
        for y in range(32):
            for x in range(32):
                w, b = own[0, :, y, x], back[:, y, x]
                gap = float((w + b).square().sum())
                if gap > 0.01 * float(w.square().sum() + b.square().sum()) + 0.5:
                    hidden += 1
                    total += 12.4
                elif 4 <= x < 28 and 4 <= y < 28:
                    total += rho(float(distance[y, x])) + 0.2 * sum(rho(float(w[c] + b[c])) / 2 for c in (0, 1))
    expected = 2 * (total / 2048 + 3.0 * float(roughness(flow)))
    assert float(found["loss"]) == pytest.approx(expected, rel=1e-3)
    assert float(found["occluded"]) == pytest.approx(hidden / 2048)


def test_each_resolution_counts_by_its_weight_with_a_window_of_its_own(task: Task) -> None:
    made = task(smooth=0.0, consistent=0.0)
    example = made.pseudo_label(shifted(1, 3)[0], rng())
    none = [torch.zeros(2, 2, side, side) for side in (8, 16)]
    grey = 255 * to_grey(denormalise(example.images))
    total = 0.0
    for side, weight, reach in ((16, 12.7, 3), (8, 4.35, 2)):
        first, second = census(F.avg_pool2d(grey, 32 // side), reach)
        distance = hamming(first[None], second[None])
        border = math.ceil(0.1 * side)
        inner = distance[..., border:-border, border:-border].square().add(1e-6).pow(0.45)
        total += weight * float(inner.sum()) / side**2
    assert float(made.loss(none, example)["loss"]) == pytest.approx(2 * total / (12.7 + 4.35), rel=1e-4)


def test_guard_nothing_is_occluded_in_the_first_steps(task: Task) -> None:
    made = task(unmasked=0.3)
    example = made.pseudo_label(shifted(2, 1)[0], rng())
    wrong = [4 * torch.randn(4, 2, 32, 32, generator=rng(1))]
    shares = []
    for step in range(10):
        shares.append(float(made.loss(wrong, example)["occluded"]))
        made.after_step(step, 10)
    assert shares[:3] == [0, 0, 0]
    assert min(shares[3:]) > 0.8


def test_guard_flow_that_leads_out_of_the_frame_is_no_way_out(task: Task) -> None:
    made = task()
    example = made.pseudo_label(shifted(4, 1)[0], rng())
    still, outside = ([torch.full((8, 2, 32, 32), value)] for value in (0.0, 1e4))
    outside[0][4:] *= -1  # both ways agree
    found, nothing = made.loss(outside, example), made.loss(still, example)
    assert float(found["loss"]) > float(nothing["loss"])
    assert float(found["gain"]) < 0


def test_two_processes_are_one(task: Task) -> None:
    made = task()
    for name, weight in made.refine.named_parameters():
        if name.endswith("4.weight"):  # of the last layer, which starts at 0
            torch.nn.init.normal_(weight, std=0.1, generator=rng(1))
    first, second = torch.randn(2, 4, 3, 32, 32, generator=rng(2))
    halves = [Example(torch.cat([first[rows], second[rows]])) for rows in (slice(0, 2), slice(2, 4))]
    check_halves(made, Example(torch.cat([first, second])), halves)


def test_it_learns_the_motion_of_textures(task: Task) -> None:
    made = task(reach=2, width=16)
    fit(made, lambda step: shifted(4, step)[0], steps=35, lr=4e-3)
    batch, motion = shifted(16, 900)
    with torch.no_grad():
        found = resized_flow(made(made.pseudo_label(batch, rng(1)))[-1][:16], 32)
    # A crop may be mirrored, which mirrors its motion.
    mirrored = motion * torch.tensor([-1.0, 1.0])
    errors = [(found - one[:, :, None, None]).norm(dim=1).mean((1, 2)) for one in (motion, mirrored)]
    assert float(torch.minimum(*errors).mean()) < 0.6 * float(motion.norm(dim=1).mean())


def test_a_run_is_resumed_exactly(tmp_path: Path, write_video: Any) -> None:
    check_run(tmp_path, write_video, "unsupervised_flow", task_settings={"width": 8, "reach": 2})
