from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from selftaught.core.randomness import generator
from selftaught.data.batch import Batch
from selftaught.encoders.base import Encoder
from selftaught.encoders.build import build_encoder
from selftaught.ops.colour import denormalise
from selftaught.ops.colour_spaces import lab_to_rgb, rgb_to_lab
from selftaught.tasks.generation.colorization import Colorization
from selftaught.tasks.parts.colour_bins import NUM_BINS, bin_centres, rebalancing_weights
from selftaught.training.optimizers import build_optimizer


@pytest.fixture
def make(tiny_encoder: Callable[[], Encoder]) -> Callable[..., Colorization]:
    def task(size: int = 32, **settings: Any) -> Colorization:
        return Colorization(tiny_encoder(), Colorization.Config(**settings), size)

    return task


def batch(n: int = 4, side: int = 40) -> Batch:
    """Random patches of 8 x 8 pixels: colours that survive the mean over a label's 4 x 4."""
    coarse = torch.randint(0, 256, (n, 3, side // 8, side // 8), generator=generator("images"), dtype=torch.uint8)
    return Batch(index=torch.arange(n), inputs={"image": coarse.repeat_interleave(8, 2).repeat_interleave(8, 3)})


def striped(n: int, seed: str) -> Batch:
    """Half of each image has upright stripes and is reddish, half has level ones and is bluish, in one lightness."""
    rng = generator(seed)
    ramp = torch.arange(40) % 4 < 2
    upright = ramp.expand(40, 40)
    sides = torch.rand(n, generator=rng) < 0.5
    left = (torch.arange(40) < 20).expand(40, 40)
    is_red = torch.where(sides[:, None, None], left, ~left)
    lightness = torch.where(torch.where(is_red, upright, upright.T), 70.0, 50.0)
    a = torch.where(is_red, 30.0, 0.0)
    b = torch.where(is_red, 20.0, -30.0)
    images = (lab_to_rgb(torch.stack([lightness, a, b], 1)) * 255).round().byte()
    return Batch(index=torch.arange(n), inputs={"image": images})


def test_colours_are_the_means_of_squares_at_a_quarter_of_the_side(make: Callable[..., Colorization]) -> None:
    example = make().pseudo_label(batch(), generator(0))
    assert example.colours.shape == (4, 2, 8, 8)
    for n, i, j in ((0, 0, 0), (2, 5, 3)):
        square = example.pictures[n, :, 4 * i : 4 * i + 4, 4 * j : 4 * j + 4].mean((1, 2))
        expected = rgb_to_lab(square[:, None, None])[1:].flatten()
        assert torch.allclose(example.colours[n, :, i, j], expected, atol=1e-3)
        nearest = bin_centres()[example.bins[n, 0, i, j]]
        assert math.dist(nearest.tolist(), expected.tolist()) <= 5 * math.sqrt(2) + 1


def test_loss_is_equation_2_as_loops(make: Callable[..., Colorization]) -> None:
    model = make(rebalance=0.5)
    example = model.pseudo_label(batch(2), generator(0))
    logits = model(example).detach()
    weights = rebalancing_weights(model.occurring.share, mix=0.5).tolist()
    total = 0.0
    for n in range(2):
        for i in range(8):
            for j in range(8):
                scores = logits[n, :, i, j].double().log_softmax(0).tolist()
                pairs = list(zip(example.bins[n, :, i, j].tolist(), example.weights[n, :, i, j].tolist(), strict=True))
                likeliest = max(pairs, key=lambda pair: pair[1])[0]
                total -= weights[likeliest] * sum(z * scores[q] for q, z in pairs)
    assert float(model.loss(logits, example)["loss"]) == pytest.approx(total / (2 * 64), rel=1e-4)


def test_statistics_are_those_of_the_training_data_alone(make: Callable[..., Colorization]) -> None:
    model = make()
    model.eval().pseudo_label(batch(), generator(0))
    assert int(model.occurring.batches) == 0
    model.train()
    examples = [model.pseudo_label(batch(), generator(step)) for step in range(2)]
    counts = torch.bincount(torch.cat([e.bins[:, 0].flatten() for e in examples]), minlength=NUM_BINS)
    torch.testing.assert_close(model.occurring.share, counts / counts.sum())
    assert float((model.occurring.share * model.balance()).sum()) == pytest.approx(1, abs=0.2)
    assert torch.equal(make(rebalance=0.0).balance(), torch.ones(NUM_BINS))


def test_a_resumed_run_has_the_same_statistics(make: Callable[..., Colorization]) -> None:
    model = make()
    model.pseudo_label(batch(), generator(0))
    resumed = make()
    resumed.load_state_dict(copy.deepcopy(model.state_dict()), strict=True)
    for each in (model, resumed):
        each.pseudo_label(batch(), generator(1))
    assert torch.equal(model.occurring.share, resumed.occurring.share)
    assert torch.equal(model.wanted.share, resumed.wanted.share)
    assert torch.equal(model.balance(), resumed.balance())


def test_who_knows_the_mean_distribution_alone_knows_nothing(make: Callable[..., Colorization]) -> None:
    """The best guess without the image has information 0 on the data it is made of, and no other has more."""
    model = make()
    example = model.pseudo_label(batch(), generator(0))
    guess = model.wanted.share.clamp(min=1e-9).log()[None, :, None, None].expand(4, -1, 8, 8)
    assert float(model.loss(guess, example)["information"]) == pytest.approx(model.chance(4), abs=0.05)
    for other in (torch.zeros_like(guess), guess * 0.7, guess + torch.randn(1, NUM_BINS, 1, 1)):
        assert float(model.loss(other, example)["information"]) < -0.01
    model.eval()
    grey = torch.zeros(4, NUM_BINS, 8, 8)
    grey[:, int((bin_centres() == 0).all(1).nonzero())] = 50
    assert float(model.loss(grey, example)["psnr_gain"]) == pytest.approx(0, abs=0.01)


def test_example_is_a_function_of_the_generator(make: Callable[..., Colorization]) -> None:
    model = make()
    first, second, other = (model.pseudo_label(batch(), generator(seed)) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(vars(first).values(), vars(second).values(), strict=True))
    assert not torch.equal(first.images, other.images)
    assert first.images.is_contiguous(memory_format=torch.channels_last)


def test_guard_the_input_carries_no_colour(make: Callable[..., Colorization]) -> None:
    """The same lightness in other colours (within sRGB) is the same input, to rounding of stored pixels."""
    lightness = torch.rand(4, 1, 40, 40, generator=generator("L")) * 30 + 40
    ab = torch.rand(4, 2, 40, 40, generator=generator("ab")) * 40 - 20
    seen, labels = [], []
    for sign in (1, -1):
        images = (lab_to_rgb(torch.cat([lightness, sign * ab], 1)) * 255).round().byte()
        model = make(min_scale=1.0)
        example = model.pseudo_label(Batch(index=torch.arange(4), inputs={"image": images}), generator(0))
        seen.append(denormalise(example.images))
        labels.append(example.colours)
        assert float((seen[-1] - seen[-1][:, :1]).abs().max()) < 1e-6
    assert float((seen[0] - seen[1]).abs().max()) < 2.5 / 255
    assert float((labels[0] - labels[1]).abs().mean()) > 2


def test_every_encoder_takes_it_and_every_parameter_learns() -> None:
    torch.manual_seed(0)
    for name, hypercolumn in (("grey:resnet18", False), ("timm:vit_tiny_patch16_224", False), ("resnet18", True)):
        encoder = build_encoder(name, size=32, stem="auto" if name.startswith("timm") else "standard")
        model = Colorization(encoder, Colorization.Config(hypercolumn=hypercolumn), 32)
        example = model.pseudo_label(batch(), generator(0))
        logits = model(example)
        assert logits.shape == (4, NUM_BINS, 8, 8)
        model.loss(logits, example)["loss"].backward()
        assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"rebalance": 1.0}, r"--task.rebalance must be in \[0, 1\), got 1.0"),
        ({"temperature": 0.0}, r"--task.temperature must be above 0, got 0.0"),
        ({"min_scale": 1.5}, r"--task.min-scale must be in \(0, 1\], got 1.5"),
    ],
)
def test_wrong_settings_are_refused(setting: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Colorization.Config(**setting)  # type: ignore[arg-type]


@pytest.mark.parametrize("hypercolumn", [False, True])
def test_learns_that_stripes_have_colours_in_seconds(make: Callable[..., Colorization], hypercolumn: bool) -> None:
    model = make(hypercolumn=hypercolumn, min_scale=0.9)
    optimizer = build_optimizer(model, "adamw", 3e-3, 0.0)
    for step in range(30):
        example = model.pseudo_label(striped(6, f"train {step}"), generator("train", step))
        loss = model.loss(model(example), example)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    example = model.pseudo_label(striped(16, "test"), generator("test"))
    scalars = model.loss(model(example).detach(), example)
    assert float(scalars["information"]) > 0.2, scalars
    assert float(scalars["psnr_gain"]) > 6, scalars


def test_show_gives_images_in_the_lightness_of_the_input(make: Callable[..., Colorization]) -> None:
    model = make().eval()
    example = model.pseudo_label(batch(), generator(0))
    shown = model.show(example, model(example).detach(), 3)
    assert len(shown) == 3
    grey, truth, made = shown[0].inputs[0], shown[0].pseudo_label, shown[0].prediction
    for picture in (grey, truth, made):
        assert isinstance(picture, Tensor)
        assert picture.shape == (3, 32, 32)
        assert 0 <= float(picture.min()) <= float(picture.max()) <= 1
    assert isinstance(truth, Tensor)
    assert torch.allclose(rgb_to_lab(grey)[0], rgb_to_lab(truth)[0], atol=0.05)
