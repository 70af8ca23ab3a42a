from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from selftaught.core.randomness import generator
from selftaught.data.batch import Batch
from selftaught.encoders.base import Encoder
from selftaught.tasks.generation.inpainting import ChannelwiseConnected, Example, Inpainting, Prediction
from tests.tasks.learning import check_players_move_alone, scalar_of, synthetic_images, train

Make = Callable[[], Encoder]
MASKS = ("centre", "blocks", "region")


def task(make: Make, size: int = 32, **settings: object) -> Inpainting:
    return Inpainting(make(), Inpainting.Config(width=64, **settings), size)  # type: ignore[arg-type]


def batch(n: int = 4, side: int = 40) -> Batch:
    images = torch.randint(0, 256, (n, 3, side, side), generator=generator("images"), dtype=torch.uint8)
    return Batch(index=torch.arange(n), inputs={"image": images})


@pytest.mark.parametrize("mask", MASKS)
def test_a_quarter_is_asked_and_the_border_of_squares_is_seen(tiny_encoder: Make, mask: str) -> None:
    model = task(tiny_encoder, mask=mask)
    first, again, other = (model.pseudo_label(batch(64), generator(seed)) for seed in (0, 0, 1))
    assert first.images.shape == (64, 3, 32, 32)
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.images, other.images)
    assert 0.2 < float(first.asked.float().mean()) < 0.3
    assert not bool((first.hole & ~first.asked).any())
    assert torch.equal(first.hole, first.asked) == (mask == "region")
    if mask == "centre":
        assert torch.equal(first.hole[0, 0].nonzero().aminmax(dim=0).min, torch.tensor([9, 9]))
        assert int(first.hole[0].sum()) == 14 * 14


@pytest.mark.parametrize("mask", MASKS)
def test_guard_the_holes_content_never_reaches_the_encoder(tiny_encoder: Make, mask: str) -> None:
    """Any other content, even one that is no number, leaves what the encoder sees equal in every bit."""
    model = task(tiny_encoder, mask=mask)
    pictures = torch.rand(4, 3, 32, 32, generator=generator("pictures"))
    example = model.cut(pictures, generator(0))
    assert bool(example.hole.any())
    for content in (0.7, float("nan")):
        other = model.cut(pictures.masked_fill(example.hole, content), generator(0))
        assert torch.equal(other.hole, example.hole)
        assert torch.equal(other.images.view(torch.int32), example.images.view(torch.int32)), content
        assert not torch.equal(other.originals, example.originals)
    assert not torch.equal(model.cut(1 - pictures, generator(0)).images, example.images)


def test_guard_the_trivial_prediction_does_not_know_the_hole(tiny_encoder: Make) -> None:
    """Black around a hole, whatever its one colour: the mean of what is visible is black, and is judged as black."""
    model = task(tiny_encoder)
    hole = model.pseudo_label(batch(), generator(0)).hole
    black = Prediction(torch.full((4, 3, 32, 32), -1.0))
    for colour in (0.2, 0.9):
        originals = colour * hole.expand(4, 3, 32, 32).float()
        scalars = model.loss(black, Example(torch.zeros_like(originals), originals, hole, hole))
        assert float(scalars["psnr_gain"]) == pytest.approx(0, abs=1e-4)
        assert float(scalars["psnr"]) == pytest.approx(-20 * math.log10(colour), abs=1e-3)


@pytest.mark.parametrize("mask", MASKS)
def test_loss_is_the_masked_squared_error_with_a_heavy_border(tiny_encoder: Make, mask: str) -> None:
    model = task(tiny_encoder, mask=mask)
    example = model.pseudo_label(batch(2), generator(0))
    made = torch.rand(2, 3, 32, 32, generator=generator("made")) * 2 - 1
    total, count = 0.0, 0
    for n in range(2):
        for y in range(32):
            for x in range(32):
                if bool(example.asked[n, 0, y, x]):
                    weight = 1 if bool(example.hole[n, 0, y, x]) else 10
                    difference = made[n, :, y, x] - (2 * example.originals[n, :, y, x] - 1)
                    total += weight * float(difference.square().sum())
                    count += 3
    scalars = model.loss(Prediction(made), example)
    assert float(scalars["loss"]) == pytest.approx(total / count, rel=1e-4)
    with_adversary = task(tiny_encoder, mask=mask, adversarial=0.001)
    logits = torch.tensor([0.3, -2.0])
    adversarial = sum(math.log(1 + math.exp(-x)) for x in logits.tolist()) / 2
    loss = with_adversary.loss(Prediction(made, logits), example)["loss"]
    assert float(loss) == pytest.approx(0.999 * total / count + 0.001 * adversarial, rel=1e-4)


def test_the_metric_is_the_gain_over_the_visible_mean(tiny_encoder: Make) -> None:
    model = task(tiny_encoder)
    example = model.pseudo_label(batch(), generator(0))
    mean = torch.stack([x[:, ~hole[0]].mean(1) for x, hole in zip(example.originals, example.hole, strict=True)])
    trivial = Prediction((2 * mean - 1)[:, :, None, None].expand(4, 3, 32, 32))
    assert float(model.loss(trivial, example)["psnr_gain"]) == pytest.approx(model.chance(4), abs=1e-4)
    perfect = model.loss(Prediction(2 * example.originals - 1), example)
    assert float(perfect["psnr"]) == 50.0
    assert float(perfect["loss"]) < 1e-10


@pytest.mark.parametrize("mask", MASKS)
def test_the_discriminator_sees_generated_pixels_in_the_hole_only(tiny_encoder: Make, mask: str) -> None:
    model = task(tiny_encoder, mask=mask, adversarial=0.001)
    example = model.pseudo_label(batch(), generator(0))
    shown = []
    assert model.discriminator is not None
    model.discriminator.register_forward_pre_hook(lambda module, inputs: shown.append(inputs[0]))
    made = model(example, "discriminator").made
    real, filled = shown
    original = 2 * example.originals - 1
    if mask == "centre":
        assert torch.equal(real, original[..., 8:24, 8:24])
        assert torch.equal(filled, made[..., 8:24, 8:24])
    else:
        assert torch.equal(real, original)
        assert torch.equal(filled, torch.where(example.asked, made, original))


def test_every_player_moves_its_own_parameters_alone(tiny_encoder: Make) -> None:
    model = task(tiny_encoder, adversarial=0.001)
    check_players_move_alone(model, batch())


def test_reconstruction_alone_has_no_turns(tiny_encoder: Make) -> None:
    model = task(tiny_encoder)
    assert not model.players()
    assert not model.turns(0)
    example = model.pseudo_label(batch(), generator(0))
    model.loss(model(example), example)["loss"].backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_channels_are_connected_within_themselves() -> None:
    layer = ChannelwiseConnected(3, 2)
    x = torch.rand(2, 3, 2, 2)
    y = layer(x)
    for n in range(2):
        for c in range(3):
            expected = x[n, c].flatten() @ layer.weight[c] + layer.bias[c, 0]
            assert torch.allclose(y[n, c].flatten(), expected, atol=1e-6)


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match=r"--task.mask must be centre, blocks or region, got 'circle'"):
        Inpainting.Config(mask="circle")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"--task.adversarial must be in \[0, 1\), got 1"):
        Inpainting.Config(adversarial=1.0)


def test_learns_more_than_the_mean_colour_in_seconds(tiny_encoder: Make) -> None:
    images = synthetic_images(300, 40, held_out=0.05)
    model = task(tiny_encoder)
    train(model, images[:240], optimizer="adamw", lr=3e-3, steps=80, batch_size=24)
    gain = scalar_of(model, images[240:280], "psnr_gain")
    assert gain > 0.3, gain


def test_show_gives_images(tiny_encoder: Make) -> None:
    model = task(tiny_encoder)
    example = model.pseudo_label(batch(), generator(0))
    shown = model.show(example, model(example), 8)
    assert len(shown) == 4
    filled, outside = shown[0].prediction, ~example.hole[0].expand(3, -1, -1)
    assert isinstance(filled, torch.Tensor)
    assert torch.equal(filled[outside], example.originals[0][outside])
    assert not torch.equal(filled, example.originals[0])
