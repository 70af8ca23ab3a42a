from __future__ import annotations

import pytest
import torch

from selftaught.core.randomness import generator
from selftaught.tasks.parts.discriminators import Discriminator
from selftaught.tasks.parts.losses import discriminator_bce, generator_bce
from selftaught.training.optimizers import build_optimizer


@pytest.mark.parametrize(("side", "left"), [(16, 4), (32, 4), (37, 4), (96, 6)])
def test_it_halves_down_to_a_small_map_and_gives_one_logit(side: int, left: int) -> None:
    network = Discriminator(side, width=8)
    pictures = torch.rand(3, 3, side, side)
    features = network.forward_features(pictures)
    assert features.shape[2:] == (left, left)
    assert network.classify(features).shape == (3,)
    network.eval()
    assert torch.equal(network(pictures), network.classify(network.forward_features(pictures)))


def test_channels_double_up_to_eight_times() -> None:
    widths = [m.out_channels for m in Discriminator(224, width=8).modules() if isinstance(m, torch.nn.Conv2d)]
    assert widths == [8, 16, 32, 64, 64]


def test_it_learns_to_separate_noise_from_smooth_images() -> None:
    torch.manual_seed(0)
    network = Discriminator(16, width=8)
    optimizer = build_optimizer(network, "adamw", 2e-3, 0.0)
    for step in range(30):
        real = torch.rand(16, 3, 1, 1, generator=generator("real", step)).expand(-1, -1, 16, 16) * 2 - 1
        made = torch.rand(16, 3, 16, 16, generator=generator("made", step)) * 2 - 1
        loss, accuracy = discriminator_bce(network(real), network(made))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(accuracy) > 0.95
    assert float(generator_bce(network(made).detach())) > 0.7
