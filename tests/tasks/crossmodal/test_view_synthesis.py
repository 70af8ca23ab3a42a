"""View synthesis: the loss against loops, its settings, guards, and learning depth from a camera that goes past."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from selftaught.encoders.base import Encoder
from selftaught.ops.colour import denormalise
from selftaught.ops.depth.camera import inverse_motion, motion_matrix, rigid_flow
from selftaught.ops.depth.photometric import at_side, edge_aware_roughness, photometric_difference
from selftaught.ops.flow import warp
from selftaught.tasks.crossmodal.view_synthesis import Example, Prediction, ViewSynthesis
from tests.tasks.clip_guards import still_clips
from tests.tasks.clips import check_halves, check_run, fit, rng
from tests.tasks.crossmodal.walks import walks

Config = ViewSynthesis.Config
Task = Callable[..., ViewSynthesis]


@pytest.fixture
def task(tiny_encoder: Callable[[], Encoder]) -> Task:
    def make(**settings: Any) -> ViewSynthesis:
        torch.manual_seed(0)
        config = Config(**{"scales": 2, "width": 32, "least_side": 1.0, "camera": "given", **settings})
        return ViewSynthesis(tiny_encoder(), config, 32)

    return make


def drawn(made: ViewSynthesis, count: int = 2) -> tuple[Example, Prediction]:
    """An example, and a prediction in which the camera moves."""
    example = made.pseudo_label(walks(count, 1, frames=made.config.frames), rng())
    found = made(example)
    vectors = 0.1 * torch.randn(count, len(made.others), 6, generator=rng(2))
    return example, replace(found, motion=motion_matrix(vectors))


@pytest.mark.parametrize("mask", ["explainability", "auto", "none"])
def test_the_loss_against_loops(task: Task, mask: str) -> None:
    made = task(mask=mask, ssim=0.5, smooth=0.3)
    with torch.no_grad():
        example, found = drawn(made)
        total = 0.0
        for k, side in enumerate((32, 16)):
            k_matrix = example.intrinsics.clone()
            k_matrix[:, :2] *= side / 32
            parts = []
            for n in range(2):
                frames = at_side(denormalise(example.images[n]), side)
                for number, other in enumerate((0, 2)):
                    depth = 1 / found.disparity[k][n : n + 1]
                    flow, _ = rigid_flow(depth, k_matrix[n : n + 1], found.motion[n : n + 1, number])
                    seen = warp(frames[other : other + 1], flow)
                    error = photometric_difference(seen, frames[1:2], 0.5)
                    if mask == "explainability":
                        explained = found.masks[k][2 * n + number].sigmoid()
                        error = explained * error - 0.2 * explained.log()
                    if mask == "auto":
                        error = torch.minimum(
                            error, photometric_difference(frames[other : other + 1], frames[1:2], 0.5)
                        )
                    parts.append(float(error.mean()))
            total += sum(parts) / 4
            for n in range(2):
                even = found.disparity[k][n : n + 1] / found.disparity[k][n].mean()
                image = at_side(denormalise(example.images[n, 1:2]), side)
                total += 0.3 / 2**k * float(edge_aware_roughness(even, image)) / 2
        assert float(made.loss(found, example)["loss"]) == pytest.approx(total / 2, rel=1e-4)


def test_motions_that_are_composed_cost_nothing_and_others_do(task: Task) -> None:
    made = task(compose=1.0, mask="none")
    example, found = drawn(made)
    steps = motion_matrix(0.1 * torch.randn(2, 2, 6, generator=rng(3)))
    agreeing = replace(
        found,
        motion=torch.stack([inverse_motion(steps[:, 0]), steps[:, 1]], 1),
        hops=[steps, (steps[:, 1] @ steps[:, 0])[:, None]],
    )
    assert float(made._disagreement(agreeing)) < 1e-6
    other = replace(agreeing, hops=[steps, steps[:, :1]])
    expected = (steps[:, 1] @ steps[:, 0] - steps[:, 0]).abs().mean()
    assert float(made._disagreement(other)) == pytest.approx(float(expected), abs=1e-6)
    apart = [float(made.loss(one, example)["loss"].detach()) for one in (other, agreeing)]
    assert apart[0] - apart[1] == pytest.approx(float(expected), abs=1e-5)


def test_residual_flow_leaves_depth_and_motion_alone(task: Task) -> None:
    made = task(residual=True, mask="none", smooth=0.0)
    example, _ = drawn(made)
    gradients = []
    for flag in (True, False):
        made.zero_grad()
        found = made(example)
        made.loss(found if flag else replace(found, residual=None), example)["loss"].backward()
        gradients.append({n: p.grad.clone() for n, p in made.named_parameters() if p.grad is not None})
    assert any(name.startswith("flow.last") for name in gradients[0])
    for name, gradient in gradients[1].items():
        assert torch.equal(gradients[0][name], gradient)


def test_poses_are_compared_with_and_never_learned_from(task: Task) -> None:
    made = task(poses="given", frames=5)
    batch = walks(3, 1, frames=5)
    example = made.pseudo_label(batch, rng())
    found = made(example)
    shuffled = replace(example, poses=example.poses.roll(1, 1) if example.poses is not None else None)
    one, other = made.loss(found, example), made.loss(found, shuffled)
    assert torch.equal(one["loss"], other["loss"])
    assert float(one["trajectory_error_straight"]) < 1e-6
    assert float(one["trajectory_error_constant"]) < 1e-6
    assert float(other["trajectory_error"]) != float(one["trajectory_error"])


def test_the_true_trajectory_has_no_error_also_in_a_mirror_image(task: Task) -> None:
    made = task(poses="given")
    example = made.pseudo_label(walks(12, 1), rng())
    assert example.poses is not None
    assert len(example.poses[:, 2, 0, 3].sign().unique()) == 2
    motion = torch.stack([inverse_motion(example.poses[:, t]) @ example.poses[:, 1] for t in (0, 2)], 1)
    truth = Prediction([torch.ones(12, 1, 32, 32)], motion)
    assert float(made._trajectory(truth, example)["trajectory_error"]) < 1e-6


def test_the_true_depth_and_motion_explain_the_frame(task: Task) -> None:
    made = task(poses="given", mask="none")
    batch = walks(6, 1)
    example = made.pseudo_label(batch, rng())
    assert example.poses is not None
    depth = batch["true_depth"][:, None]
    mirrored = (example.poses[:, 2, 0, 3].sign() != batch["pose"][:, 2, 0, 3].sign())[:, None, None, None]
    depth = torch.where(mirrored, depth.flip(3), depth)
    motion = torch.stack([inverse_motion(example.poses[:, t]) @ example.poses[:, 1] for t in (0, 2)], 1)
    cut = F.interpolate(depth, (32, 32), mode="nearest")
    gain = made.loss(Prediction([1 / cut], motion), example)["gain"]
    flat = made.loss(Prediction([torch.full_like(cut, 0.34)], motion), example)["gain"]
    assert float(gain) > 0.7
    assert float(gain) > float(flat) + 0.1


def test_guard_to_explain_nothing_costs(task: Task) -> None:
    made = task()
    example, found = drawn(made)
    losses = {}
    for logit in (-8.0, 4.0):
        masks = [torch.full_like(one, logit) for one in found.masks]
        losses[logit] = made.loss(replace(found, masks=masks), example)
    assert float(losses[-8.0]["loss"].detach()) > float(losses[4.0]["loss"].detach()) + 0.5
    assert torch.equal(losses[-8.0]["gain"], losses[4.0]["gain"])


def test_guard_to_look_out_of_the_frame_costs(task: Task) -> None:
    made = task(mask="none", smooth=0.0)
    with torch.no_grad():
        example, found = drawn(made)
        away, still = (torch.eye(4).repeat(2, 2, 1, 1) for _ in range(2))
        away[..., 0, 3] = 50.0
        losses = [float(made.loss(replace(found, motion=motion), example)["loss"]) for motion in (away, still)]
    assert losses[0] > losses[1]


def test_guard_frames_that_do_not_move_have_no_gain(task: Task) -> None:
    made = task(camera="fov", mask="none")
    video = still_clips(8, frames=3, side=32)
    batch = walks(8, 1).using(video=video)
    fit(made, lambda step: batch, steps=3)
    example = made.pseudo_label(batch, rng())
    assert float(made.loss(made(example), example)["gain"]) <= 0


def test_two_processes_are_one(task: Task) -> None:
    made = task(compose=0.5, residual=True)
    whole = made.pseudo_label(walks(4, 1), rng())
    halves = [Example(whole.images[r], whole.intrinsics[r]) for r in (slice(0, 2), slice(2, 4))]
    check_halves(made, whole, halves)


def test_it_learns_what_is_near_from_a_camera_that_goes_past(task: Task) -> None:
    made = task(mask="none", scales=1, ssim=0.0, smooth=0.001, poses="given")
    fit(made, lambda step: walks(8, step), steps=50, lr=4e-3)
    batch = walks(16, 900)
    example = made.pseudo_label(batch, rng(1))
    with torch.no_grad():
        found = made(example)
        assert float(made.loss(found, example)["gain"]) > 0.15
    assert example.poses is not None
    ways = [one[:, 2, 0, 3] - one[:, 1, 0, 3] for one in (made.trajectory(found), example.poses)]
    assert torch.equal(ways[0].sign(), ways[1].sign())
    depth = made.depth(found)
    dark = denormalise(example.images[:, 1]).mean(1) < 0.43
    assert float(depth[dark].mean()) < 0.8 * float(depth[~dark].mean())


def test_equal_generators_give_equal_bits(task: Task) -> None:
    one: list[Tensor] = [task().pseudo_label(walks(3, 1), rng(5)).images for _ in range(2)]
    assert torch.equal(*one)


def test_a_run_is_resumed_exactly(tmp_path: Path, write_video: Any) -> None:
    settings = {"width": 16, "compose": 0.1, "residual": True, "mask": "auto"}
    check_run(tmp_path, write_video, "view_synthesis", task_settings=settings)


def test_composition_needs_three_frames() -> None:
    with pytest.raises(ValueError, match=r"motions over 3 frames or more, got --task\.frames 2; raise it"):
        Config(frames=2, compose=1.0)
