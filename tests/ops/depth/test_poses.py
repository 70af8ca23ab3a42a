"""Places of a camera along its way; the errors are tested with those of `evaluation.metrics.trajectory`."""

from __future__ import annotations

import torch

from selftaught.ops.depth.poses import scaled_places, trajectory_error


def test_places_are_scaled_to_fit_best() -> None:
    rng = torch.Generator().manual_seed(0)
    found, truth = (torch.eye(4).repeat(3, 5, 1, 1) for _ in range(2))
    for one in (found, truth):
        one[..., :3, 3] = torch.randn(3, 5, 3, generator=rng).cumsum(1)
    places, wanted = scaled_places(found, truth)
    for factor in (0.99, 1.01):
        assert ((factor * places - wanted).square().sum((1, 2)) > (places - wanted).square().sum((1, 2))).all()
    assert torch.allclose(trajectory_error(found, truth), (places - wanted).square().sum(2).mean(1).sqrt())
