from __future__ import annotations

import math
from collections.abc import Callable
from itertools import chain
from typing import Any

import pytest
import torch
from torch import Tensor

from selftaught.core.randomness import generator
from selftaught.data.batch import Batch
from selftaught.encoders.base import Encoder
from selftaught.ops.colour import denormalise
from selftaught.ops.fidelity import psnr
from selftaught.tasks.generation.bigan import BiGAN, Example
from selftaught.training.optimizers import build_optimizer
from selftaught.training.players import only_parameters_of, scalars_of


def task(encoder: Encoder, size: int = 16, **settings: Any) -> BiGAN:
    torch.manual_seed(0)
    small = {"width": 16, "code": 4, "discriminator_width": 8, "hidden": 16}
    return BiGAN(encoder, BiGAN.Config(**{**small, **settings}), size)


def batch(n: int = 8, side: int = 24, name: str = "images") -> Batch:
    images = torch.randint(0, 256, (n, 3, side, side), generator=generator(name), dtype=torch.uint8)
    return Batch(index=torch.arange(n), inputs={"image": images})


def flat(n: int, name: str) -> Batch:
    """Images of one colour each, so three numbers say all."""
    colours = torch.randint(0, 256, (n, 3, 1, 1), generator=generator(name), dtype=torch.uint8)
    return Batch(index=torch.arange(n), inputs={"image": colours.expand(n, 3, 12, 12).contiguous()})


def pairs(model: BiGAN, example: Example) -> dict[str, list[tuple[torch.Tensor, torch.Tensor]]]:
    """Images and codes that match, and each image with the code of the one before it."""
    codes, made = model.to_code(model.encoder(example.images)), model.generator(example.codes)
    rows = range(len(made))
    return {
        "real": [(example.images[i : i + 1], codes[i : i + 1]) for i in rows],
        "made": [(made[i : i + 1], example.codes[i : i + 1]) for i in rows],
        "real_mismatched": [(example.images[i : i + 1], codes[i - 1][None]) for i in rows],
        "made_mismatched": [(made[i : i + 1], example.codes[i - 1][None]) for i in rows],
    }


@torch.no_grad()
def surprise(model: BiGAN, of: list[tuple[torch.Tensor, torch.Tensor]], kind: int) -> float:
    """Mean of -log of the probability that is given to this kind of pair."""
    total = 0.0
    for x, z in of:
        logits = model.discriminator(x, z)[0][0].tolist()
        total -= logits[kind] - math.log(sum(math.exp(v) for v in logits))
    return total / len(of)


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_losses_are_the_papers_for_both_kinds_of_pairs_and_those_that_do_not_match(
    weight: float, tiny_encoder: Callable[[], Encoder]
) -> None:
    model = task(tiny_encoder(), mismatched=weight).eval()
    example = model.pseudo_label(batch(), generator(0))
    of = pairs(model, example)
    discriminator = surprise(model, of["real"], 0) + surprise(model, of["made"], 1)
    if weight:
        discriminator += weight / 2 * sum(surprise(model, of[f"{kind}_mismatched"], 2) for kind in ("real", "made"))
    opponents = surprise(model, of["real"], 1) + surprise(model, of["made"], 0)
    for player, expected in (("discriminator", discriminator), ("generator", opponents)):
        loss = model.loss(model(example, player), example, player)["loss"]
        assert float(loss.detach()) == pytest.approx(expected, rel=1e-4), player


def test_without_mismatched_pairs_the_game_is_the_papers(tiny_encoder: Callable[[], Encoder]) -> None:
    """A softmax over two kinds is the sigmoid of one logit."""
    model = task(tiny_encoder(), mismatched=0).eval()
    example = model.pseudo_label(batch(), generator(0))
    found = model(example, "discriminator")
    real, made = (found[kind][:, 0] - found[kind][:, 1] for kind in ("real", "made"))
    expected = -(torch.sigmoid(real).log() + (1 - torch.sigmoid(made)).log()).mean()
    assert torch.allclose(model.loss(found, example, "discriminator")["loss"], expected, rtol=1e-4)


def test_the_log_shows_whether_the_discriminator_uses_the_code(tiny_encoder: Callable[[], Encoder]) -> None:
    model = task(tiny_encoder()).eval()
    example = model.pseudo_label(batch(), generator(0))
    of = pairs(model, example)
    with torch.no_grad():
        scalars = model.loss(model(example, "discriminator"), example, "discriminator")
        for name, kind in (("matched_score", "real"), ("mismatched_score", "real_mismatched")):
            scores = [float(model.discriminator(x, z)[0].softmax(1)[0, 0]) for x, z in of[kind]]
            assert float(scalars[name]) == pytest.approx(sum(scores) / 8, rel=1e-4)


def test_held_out_metrics_equal_loops(tiny_encoder: Callable[[], Encoder]) -> None:
    model = task(tiny_encoder()).eval()
    example = model.pseudo_label(batch(), generator(0))
    with torch.no_grad():
        figures = model.loss(model(example), example)
        recoded = model.to_code(model.encoder(model.generator(example.codes)))
        rebuilt = denormalise(model.generator(model.to_code(model.encoder(example.images))))
    found, true = ((c - c.mean(0)).tolist() for c in (recoded, example.codes))

    def cosine(a: list[float], b: list[float]) -> float:
        dot = sum(x * y for x, y in zip(a, b, strict=True))
        return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))

    right = sum(max(range(8), key=lambda j: cosine(found[i], true[j])) == i for i in range(8))
    assert float(figures["accuracy"]) == pytest.approx(right / 8)
    assert float(figures["code_correlation"]) == pytest.approx(
        cosine(list(chain(*found)), list(chain(*true))), rel=1e-4
    )
    pictures = denormalise(example.images)
    gain = 0.0
    for x, again in zip(pictures, rebuilt, strict=True):
        colour = x.mean((1, 2))[:, None, None].expand_as(x)
        gain += float(psnr(again[None], x[None]) - psnr(colour[None], x[None])) / 8
    assert float(figures["psnr_gain"]) == pytest.approx(gain, rel=1e-3)
    assert 0 <= float(figures["found"]) <= 1
    assert model.chance(8) == 1 / 8


def test_pseudo_label_is_a_function_of_the_generator(tiny_encoder: Callable[[], Encoder]) -> None:
    model = task(tiny_encoder())
    first, again, other = (model.pseudo_label(batch(), generator(seed)) for seed in (0, 0, 1))
    for name, value in vars(first).items():
        assert torch.equal(value, vars(again)[name])
        assert not torch.equal(value, vars(other)[name])
    assert first.codes.abs().max() <= 1


@pytest.mark.parametrize(("scale", "offset"), [(0.1, 0.5), (30.0, 100.0)])
def test_codes_begin_as_spread_out_as_z_whatever_the_features_scale(
    scale: float, offset: float, tiny_encoder: Callable[[], Encoder]
) -> None:
    """Faint features, or such as share one large mean, would make codes that all images share."""
    model = task(tiny_encoder(), code=64)
    rng = generator("features")
    codes = model.to_code(offset + scale * torch.randn(256, model.encoder.num_features, generator=rng))
    z = model.pseudo_label(batch(256), rng).codes
    assert float(codes.var(0).mean().detach()) == pytest.approx(float(z.var(0).mean()), rel=0.25)
    assert float(codes.mean(0).square().mean().detach()) < 0.1 * float(z.square().mean())


def test_guard_one_kind_of_pairs_says_nothing_of_the_other(tiny_encoder: Callable[[], Encoder]) -> None:
    """In training, with statistics of the batch, scores of real pairs stay the same beside other generated ones."""
    scores, memories = [], []
    for seed in (0, 1):
        model = task(tiny_encoder())
        example = model.pseudo_label(batch(), generator(0))
        example.codes = torch.rand(8, 4, generator=generator(seed))
        scores.append(model(example, "discriminator")["real"])
        buffers = [*model.encoder.buffers(), *model.to_code.buffers()]
        memories.append(torch.cat([b.flatten().float() for b in buffers]))
    assert torch.equal(*scores)
    assert torch.equal(*memories)


def test_guard_logits_of_a_pair_do_not_depend_on_its_batch(tiny_encoder: Callable[[], Encoder]) -> None:
    """In training: with statistics of the batch, one that is all generated is told by them alone."""
    model = task(tiny_encoder(), 32)
    example = model.pseudo_label(batch(side=40), generator(0))
    with torch.no_grad():
        codes, made = model._encode(example.images), model.generator(example.codes)
        judged = [model.discriminator(*pair)[0] for pair in ((example.images, codes), (made, example.codes))]
        together = model.discriminator(torch.cat([example.images, made]), torch.cat([codes, example.codes]))[0]
        model.eval()
        at_rest = model.discriminator(made, example.codes)[0]
    assert torch.allclose(together, torch.cat(judged), atol=1e-5)
    assert torch.allclose(at_rest, judged[1], atol=1e-5)


def test_every_parameter_learns_in_its_players_turn(tiny_encoder: Callable[[], Encoder]) -> None:
    model = task(tiny_encoder())
    example = model.pseudo_label(batch(), generator(0))
    for player, names in model.players().items():
        with only_parameters_of(player, model):
            scalars_of(model, model, example, player)["loss"].backward()
        for name, parameter in model.named_parameters():
            is_own = name.split(".")[0] in names
            assert (parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)) == is_own, (player, name)
        model.zero_grad()


def test_encoder_and_generator_learn_to_invert_each_other(tiny_encoder: Callable[[], Encoder]) -> None:
    """No loss compares codes or pixels, yet of images of one colour the encoder finds the code."""
    model = task(tiny_encoder(), 8, code=3, width=32, discriminator_width=16, hidden=64)
    optimizer = build_optimizer(model, "adamw", 2e-3, 0.0, (0.5, 0.999))
    test = model.pseudo_label(flat(256, "test"), generator("test"))
    correlations = []
    for step in range(200):
        example = model.pseudo_label(flat(32, f"batch {step}"), generator("train", step))
        for player in model.turns(step):
            with only_parameters_of(player, model):
                scalars_of(model, model, example, player)["loss"].backward()
                optimizer.step()
                optimizer.zero_grad()
        if step % 25 == 24:
            model.eval()
            with torch.no_grad():
                correlations.append(float(model.loss(model(test), test)["code_correlation"]))
            model.train()
    with torch.no_grad():
        scalars = model.loss(model(test, "discriminator"), test, "discriminator")
    assert float(scalars["mismatched_score"]) < float(scalars["matched_score"]) - 0.1, scalars
    # The game goes up and down; untrained the correlation is that of a random map, here below 0.
    assert sum(correlations[-4:]) / 4 > 0.25, correlations


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match=r"--task.discriminator-width must be at least 1, got 0"):
        BiGAN.Config(discriminator_width=0)
    with pytest.raises(ValueError, match=r"--task.mismatched must be at least 0, got -1"):
        BiGAN.Config(mismatched=-1)
    with pytest.raises(ValueError, match=r"--task.min-scale must be in \(0, 1\], got 2"):
        BiGAN.Config(min_scale=2)


def test_show_gives_grids_and_reconstructed_images(tiny_encoder: Callable[[], Encoder]) -> None:
    model = task(tiny_encoder()).eval()
    example = model.pseudo_label(batch(), generator(0))
    prediction = model(example)
    shown = model.show(example, prediction, 8)
    assert len(shown) == 8
    assert isinstance(shown[0].prediction, Tensor)
    assert shown[0].prediction.shape == shown[0].inputs[0].shape
    assert isinstance(shown[3].prediction, Tensor)
    assert torch.equal(shown[3].prediction, denormalise(prediction["rebuilt"])[2])
    assert torch.equal(shown[3].inputs[0], denormalise(example.images)[2])
