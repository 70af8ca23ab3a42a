"""Motions start small, masks have all resolutions, and residual flow starts at 0."""

from __future__ import annotations

import torch

from selftaught.tasks.parts.structure.motion_networks import MotionNetwork, ResidualFlow


def test_motions_are_small_at_first_and_masks_halve() -> None:
    torch.manual_seed(0)
    motion, masks = MotionNetwork(50, scales=3)(torch.randn(4, 6, 50, 50))
    assert motion.shape == (4, 4, 4)
    assert float((motion.detach() - torch.eye(4)).abs().max()) < 0.01
    assert [one.shape for one in masks] == [(4, 1, side, side) for side in (50, 25, 13)]


def test_without_scales_there_are_no_masks() -> None:
    network = MotionNetwork(32)
    motion, masks = network(torch.randn(2, 6, 32, 32))
    assert masks == []
    motion.square().sum().backward()
    assert all(one.grad is not None for one in network.parameters())


def test_residual_flow_starts_at_0() -> None:
    flow = ResidualFlow(8)(torch.randn(2, 12, 30, 30))
    assert flow.shape == (2, 2, 30, 30)
    assert not flow.any()
