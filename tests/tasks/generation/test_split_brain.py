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
from selftaught.encoders.split import SplitEncoder
from selftaught.ops.colour import denormalise, normalise
from selftaught.ops.colour_spaces import lab_to_rgb, rgb_to_lab
from selftaught.tasks.generation.split_brain import LIGHTNESS_BINS, Example, Prediction, SplitBrain
from selftaught.tasks.parts.colour_bins import NUM_BINS, bin_centres
from selftaught.training.optimizers import build_optimizer


@pytest.fixture
def make(tiny_encoder: Callable[[], Encoder]) -> Callable[..., SplitBrain]:
    """The task with two small halves."""

    def task(size: int = 32, **settings: Any) -> SplitBrain:
        encoder = SplitEncoder("split:tiny", tiny_encoder(), tiny_encoder())  # type: ignore[arg-type]
        return SplitBrain(encoder, SplitBrain.Config(**settings), size)

    return task


def batch(n: int = 4, side: int = 40) -> Batch:
    """Random patches of 8 x 8 pixels."""
    coarse = torch.randint(0, 256, (n, 3, side // 8, side // 8), generator=generator("images"), dtype=torch.uint8)
    return Batch(index=torch.arange(n), inputs={"image": coarse.repeat_interleave(8, 2).repeat_interleave(8, 3)})


def of_two_kinds(n: int, seed: str) -> Batch:
    """Quarters that are light and reddish, or dark and bluish."""
    quarters = torch.rand(n, 2, 2, generator=generator(seed)) < 0.5
    is_red = quarters.repeat_interleave(16, 1).repeat_interleave(16, 2)
    lightness, a, b = (torch.where(is_red, x, y) for x, y in ((75.0, 45.0), (30.0, 0.0), (20.0, -30.0)))
    images = (lab_to_rgb(torch.stack([lightness, a, b], 1)) * 255).round().byte()
    return Batch(index=torch.arange(n), inputs={"image": images})


def test_labels_are_bins_of_the_mean_colour_of_each_square(make: Callable[..., SplitBrain]) -> None:
    example = make().pseudo_label(batch(), generator(0))
    assert example.colour.shape == example.lightness.shape == (4, 4, 4)
    pictures = denormalise(example.images)
    for n, i, j in ((0, 0, 0), (3, 2, 1)):
        mean = pictures[n, :, 8 * i : 8 * i + 8, 8 * j : 8 * j + 8].mean((1, 2))
        lightness, a, b = rgb_to_lab(mean[:, None, None]).flatten().tolist()
        assert abs(int(example.lightness[n, i, j]) - lightness / 2) <= 1.01
        distances = [math.dist((a, b), centre) for centre in bin_centres().tolist()]
        assert distances[int(example.colour[n, i, j])] <= min(distances) + 1.5
    white = Batch(index=torch.arange(1), inputs={"image": torch.full((1, 3, 40, 40), 255, dtype=torch.uint8)})
    assert bool((make().pseudo_label(white, generator(0)).lightness == LIGHTNESS_BINS - 1).all())


def test_loss_is_the_sum_of_both_cross_entropies_as_loops(make: Callable[..., SplitBrain]) -> None:
    model = make()
    example = model.pseudo_label(batch(2), generator(0))
    logits = {"colour": torch.randn(2, NUM_BINS, 4, 4), "lightness": torch.randn(2, LIGHTNESS_BINS, 4, 4)}
    total = 0.0
    for name, scores in logits.items():
        targets = getattr(example, name)
        for n in range(2):
            for i in range(4):
                for j in range(4):
                    row = scores[n, :, i, j].tolist()
                    total += math.log(sum(math.exp(s) for s in row)) - row[int(targets[n, i, j])]
    assert float(model.loss(Prediction(**logits), example)["loss"]) == pytest.approx(total / (2 * 16), rel=1e-4)


def test_who_knows_how_often_classes_occur_knows_nothing_more(make: Callable[..., SplitBrain]) -> None:
    model = make()
    example = model.pseudo_label(batch(8), generator(0))
    guess = Prediction(
        model.colours.share.clamp(min=1e-9).log()[None, :, None, None].expand(8, -1, 4, 4),
        model.lightnesses.share.clamp(min=1e-9).log()[None, :, None, None].expand(8, -1, 4, 4),
    )
    scalars = model.loss(guess, example)
    assert float(scalars["information"]) == pytest.approx(model.chance(8), abs=0.05)
    uniform = Prediction(torch.zeros(8, NUM_BINS, 4, 4), torch.zeros(8, LIGHTNESS_BINS, 4, 4))
    assert float(model.loss(uniform, example)["information"]) < -1
    resumed = make()
    resumed.load_state_dict(copy.deepcopy(model.state_dict()), strict=True)
    assert torch.equal(resumed.colours.share, model.colours.share)
    before = model.lightnesses.share.clone()
    model.eval().pseudo_label(batch(), generator(3))
    assert torch.equal(model.lightnesses.share, before), "held-out data must not enter the statistics"


def test_example_is_a_function_of_the_generator(make: Callable[..., SplitBrain]) -> None:
    model = make()
    first, second, other = (model.pseudo_label(batch(), generator(seed)) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(vars(first).values(), vars(second).values(), strict=True))
    assert not torch.equal(first.images, other.images)
    assert first.images.is_contiguous(memory_format=torch.channels_last)


def test_guard_no_half_sees_what_it_predicts(make: Callable[..., SplitBrain]) -> None:
    """Colour is predicted alike from images of other colours, lightness alike from images of other lightness."""
    model = make().eval()
    ab = torch.rand(2, 2, 32, 32, generator=generator("ab")) * 40 - 20
    lab = torch.cat([torch.full((2, 1, 32, 32), 60.0), ab], 1)
    recoloured, lighter = lab.clone(), lab.clone()
    recoloured[:, 1:] *= -1
    lighter[:, 0] = 50.0
    example = model.pseudo_label(batch(2), generator(0))

    def predict(x: Tensor) -> Prediction:
        with torch.no_grad():
            found: Prediction = model(Example(normalise(lab_to_rgb(x)), example.colour, example.lightness))
        return found

    plain, other_colour, other_light = predict(lab), predict(recoloured), predict(lighter)

    def apart(first: Tensor, second: Tensor) -> float:
        return float((first - second).abs().max())

    assert apart(plain.colour, other_colour.colour) < 0.02 * apart(plain.colour, other_light.colour)
    assert apart(plain.lightness, other_light.lightness) < 0.02 * apart(plain.lightness, other_colour.lightness)


def test_every_parameter_learns_in_one_forward() -> None:
    torch.manual_seed(0)
    model = SplitBrain(build_encoder("split:resnet18", size=32, stem="standard"), SplitBrain.Config(), 32)
    example = model.pseudo_label(batch(), generator(0))
    prediction = model(example)
    assert prediction.colour.shape == (4, NUM_BINS, 4, 4)
    assert prediction.lightness.shape == (4, LIGHTNESS_BINS, 4, 4)
    model.loss(prediction, example)["loss"].backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
    assert isinstance(model.encoder, SplitEncoder)
    shared = {id(p) for p in model.encoder.lightness.parameters()} & {id(p) for p in model.encoder.colour.parameters()}
    assert not shared


def test_wrong_settings_are_refused(make: Callable[..., SplitBrain]) -> None:
    with pytest.raises(ValueError, match=r"--task.coarse must be at least 1, got 0"):
        SplitBrain.Config(coarse=0)
    with pytest.raises(ValueError, match=r"--task.min-scale must be in \(0, 1\], got 2"):
        SplitBrain.Config(min_scale=2)
    with pytest.raises(ValueError, match=r"--task.coarse must be at most --size, which is 32, got 64"):
        make(coarse=64)
    plain = build_encoder("grey:resnet18", size=32, stem="standard")
    with pytest.raises(ValueError, match=r"two halves, got 'grey:resnet18'; use --encoder split:NAME"):
        SplitBrain(plain, SplitBrain.Config(), 32)


def test_learns_that_light_is_red_in_seconds(make: Callable[..., SplitBrain]) -> None:
    model = make(min_scale=0.9)
    optimizer = build_optimizer(model, "adamw", 2e-3, 0.0)
    for step in range(25):
        example = model.pseudo_label(of_two_kinds(8, f"train {step}"), generator("train", step))
        loss = model.loss(model(example), example)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    example = model.pseudo_label(of_two_kinds(16, "test"), generator("test"))
    with torch.no_grad():
        scalars = model.loss(model(example), example)
    assert float(scalars["information_colour"]) > 0.5, scalars
    assert float(scalars["information_lightness"]) > 0.5, scalars


def test_show_gives_both_inputs_the_image_and_the_prediction(make: Callable[..., SplitBrain]) -> None:
    model = make().eval()
    example = model.pseudo_label(batch(), generator(0))
    with torch.no_grad():
        shown = model.show(example, model(example), 3)
    assert len(shown) == 3
    assert len(shown[0].inputs) == 2
    for picture in (*shown[0].inputs, shown[0].pseudo_label, shown[0].prediction):
        assert isinstance(picture, Tensor)
        assert picture.shape == (3, 32, 32)
        assert 0 <= float(picture.min()) <= float(picture.max()) <= 1
    assert float((shown[0].inputs[0] - shown[0].inputs[0][:1]).abs().max()) < 1e-3
