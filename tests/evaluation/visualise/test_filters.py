from __future__ import annotations

import math

import torch
from torch import nn

from selftaught.core.randomness import generator
from selftaught.evaluation.visualise.filters import Ascent, ascend
from selftaught.ops.colour import normalise
from tests.evaluation.visualise.made import SmallEncoder, random_pictures


def climb(
    encoder: SmallEncoder, channels: list[int], *, steps: int, stage: str = "conv2", rate: float = 60.0
) -> Ascent:
    return ascend(
        encoder,
        stage,
        channels,
        size=16,
        steps=steps,
        rate=rate,
        blur=0.3,
        rng=generator("filters"),
        precision="32-true",
    )


def test_ascent_excites_a_channel_more_than_noise_and_than_any_image() -> None:
    encoder, channels = SmallEncoder().eval(), [0, 1, 2, 3, 4, 5, 6, 7]
    pixels = torch.from_numpy(random_pictures(200, 16)).permute(0, 3, 1, 2) / 255
    flat = torch.rand(200, 3, 1, 1, generator=generator("flat")).expand(-1, -1, 16, 16)
    with torch.no_grad():
        of_pictures = encoder.forward_features(normalise(torch.cat([pixels, flat]))).mean((2, 3)).amax(0)
    alive = [c for c in channels if of_pictures[c] > 0]
    found = climb(encoder, alive, steps=60)
    assert len(alive) >= 5
    higher = found.reached > torch.maximum(found.start, of_pictures[alive])
    # A channel may stand out most among the others where its own activation is not the largest.
    assert higher.float().mean() >= 0.7
    assert (found.reached > found.start).all()
    with torch.no_grad():
        means = encoder.forward_features(normalise(found.pictures)).mean((2, 3))
    assert torch.allclose(means[torch.arange(len(alive)), alive], found.reached, atol=1e-4)


def test_a_channel_that_sees_red_gets_a_red_image() -> None:
    encoder = SmallEncoder().eval()
    first = encoder.conv1[0]
    assert isinstance(first, nn.Conv2d)
    with torch.no_grad():
        first.weight.zero_()
        first.weight[:3, :, 1, 1] = 2 * torch.eye(3) - 1
        first.bias.fill_(9.0)  # type: ignore[union-attr]  # no ReLU is dead
    for channel in range(3):
        colour = climb(encoder, [channel], steps=40, stage="conv1").pictures[0].mean((1, 2))
        others = [c for c in range(3) if c != channel]
        assert colour[channel] > 0.8
        assert colour[others].max() < 0.2


def test_a_step_has_the_length_asked_for() -> None:
    """From grey noise no pixel reaches black or white in one short step, so only the blur could change its length."""
    start = climb(SmallEncoder().eval(), [1], steps=0).pictures
    after = ascend(
        SmallEncoder().eval(),
        "conv2",
        [1],
        size=16,
        steps=1,
        rate=7.0,
        blur=0.0,
        rng=generator("filters"),
        precision="32-true",
    ).pictures
    assert math.isclose((normalise(after) - normalise(start)).norm().item(), 7.0 * 16 / 224, rel_tol=1e-3)


def test_the_seed_decides() -> None:
    first, again = (climb(SmallEncoder().eval(), [1, 2], steps=3).pictures for _ in range(2))
    assert torch.equal(first, again)
